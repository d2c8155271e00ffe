// The program of a container whose filter is read: it waits for ever, and needs nothing but poll.
__attribute__((naked)) void _start(void) {
  __asm__("1: mov $7, %eax\n"
          "xor %edi, %edi\n"
          "xor %esi, %esi\n"
          "mov $-1, %rdx\n"
          "syscall\n"
          "jmp 1b");
}
