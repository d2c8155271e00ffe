/** How wide the titles of what `callgate plan` says are: enough for the longest. */
export const titleWidth = 19;
