// The system's log, for a test: writes each line that arrives at a socket to standard output.
//
//   log SOCKET

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char **argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path) return 2;
  strcpy(address.sun_path, argv[1]);
  int socket_ = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (bind(socket_, (struct sockaddr *)&address, sizeof address) < 0) {
    perror("bind");
    return 1;
  }
  char line[4096];
  for (ssize_t length; (length = recv(socket_, line, sizeof line, 0)) >= 0;) {
    fwrite(line, 1, (size_t)length, stdout);
    putchar('\n');
    fflush(stdout);
  }
  return 1;
}
