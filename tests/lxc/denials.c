/* Makes a call that is refused as often as it is told, and says how many did not fail as they should: COUNT ERRNO. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int count = argc > 2 ? atoi(argv[1]) : 0, wanted = argc > 2 ? atoi(argv[2]) : 0, wrong = 0;
	for (int i = 0; i < count; i++)
		if (syscall(SYS_keyctl, i % 7, i) != -1 || errno != wanted) wrong++;
	printf("%d made, %d wrong\n", count, wrong);
	return 0;
}
