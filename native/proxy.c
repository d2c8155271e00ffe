// callgate's end of LXC's notify protocol: answers the calls that watched containers are refused, and tells of them.
// `callgate lxc watch` starts it.
//
//   proxy FOLDER…      records go to descriptor 3, a socket
//
// In each container's folder it listens at callgate.watch, as lxc.seccomp.notify.proxy says. A container's monitor connects
// when the container is started, or when it has lost its watcher. What its calls get stands in callgate.answers, which
// the pre-start hook has made of the same policy as the container's filters: plain filters, the oldest first, each proved,
// of which the strictest answer counts. So an answer is the policy's whatever has happened to the configuration since.
//
// LXC's monitor waits for each answer. So nothing stands before one that could wait for somebody: no memory of the
// container's (a page can come from a file system that the container serves itself), and no record, which goes
// out afterwards and only as far as there is room. Tables have a fixed size, each container its own; what
// does not fit is counted.

#include "notification.h"

enum { RECORDS = 3, CONTAINERS_MAXIMUM = 64, CONNECTIONS_MAXIMUM = 2 * CONTAINERS_MAXIMUM, KINDS = 1024, STACK_MAXIMUM = 4 };
enum { PACKET_MAXIMUM = 4096, HEADER = 32, ANSWERS_MAXIMUM = 16 + STACK_MAXIMUM * (4 + 8 * INSTRUCTIONS_MAXIMUM) };
enum { COUNTS_EVERY = 250 }; // milliseconds

// What system.h does not have.
enum {
#if defined(__x86_64__)
  NUMBER_ACCEPT4 = 288, NUMBER_BIND = 49, NUMBER_LISTEN = 50, NUMBER_RECVFROM = 45, NUMBER_GETSOCKOPT = 55,
  NUMBER_FLOCK = 73, NUMBER_UNLINKAT = 263,
#else
  NUMBER_ACCEPT4 = 242, NUMBER_BIND = 200, NUMBER_LISTEN = 201, NUMBER_RECVFROM = 207, NUMBER_GETSOCKOPT = 209,
  NUMBER_FLOCK = 32, NUMBER_UNLINKAT = 35,
#endif
  UNIX = 1, SEQPACKET = 5, SOCKET_CLOEXEC = 0x80000, SOCKET = 1, PEER_CREDENTIALS = 17,
  DONT_WAIT = 0x40,
  LOCK_EXCLUSIVE_NOW = 2 | 4,
  POLL_IN = 1, POLL_OUT = 4, POLL_ENDED = 8 | 0x10,
};

struct socket_address {
  uint16_t family;
  char path[108];
};

// ── Records ────────────────────────────────────────────────────────────────────────────────────────────────────
// All of one size, in the machine's byte order; src/lxc/watch-records.ts reads them. Each names the monitor, so that
// whoever has missed one, being stopped, still knows where new counts begin.

enum {
  RECORD_LISTENING = 1, // everything is ready
  RECORD_STARTED = 2,   // a monitor has connected: its counts begin anew
  RECORD_BACK = 3,      // a monitor has connected again; its counts go on
  RECORD_GONE = 4,      // a monitor's connection has ended
  RECORD_REFUSED = 5,   // a monitor was sent away: its answers cannot be read (count: why)
  RECORD_KIND = 6,      // a call of a kind that is new
  RECORD_COUNT = 7,     // how many there were of a kind
  RECORD_LOST = 8,      // how many calls there was no room for
};

struct record {
  uint32_t kind, container, monitor, key, pid, reserved;
  uint64_t count;
  struct call_data data;
  char program[16];
};

struct kind {
  struct call_data decisive; // what the answer depends on; all else is zero
  struct call_data first;    // the call that came first, whole
  char program[16];
  uint32_t pid, key;
  uint64_t count, told;
};

struct container {
  const char *folder;
  int socket;
  uint32_t monitor; // whose counts these are
  uint32_t stack, lengths[STACK_MAXIMUM];
  struct filter_instruction filters[STACK_MAXIMUM][INSTRUCTIONS_MAXIMUM];
  struct kind kinds[KINDS];
  struct kind *order[KINDS];
  uint32_t kind_count;
  uint64_t lost, told_lost;
};

struct connection {
  int socket;
  uint32_t container;
};

static struct container containers[CONTAINERS_MAXIMUM];
static uint32_t container_count;
static struct connection connections[CONNECTIONS_MAXIMUM];
static uint32_t connection_count;
static int proc = -1; // a descriptor of /proc
static bool has_news, has_counts, is_blocked;
static uint64_t counts_told_at;

_Noreturn static void fail(const char *what, const char *object, long result) {
  fail_as("callgate lxc watch", 2, what, object, result);
}

// Whether there was room for it.
static bool send_record(const struct record *record) {
  long result = CALL(sendto, RECORDS, record, sizeof *record, DONT_WAIT | MSG_NOSIGNAL, 0, 0);
  if (result == -EAGAIN) is_blocked = true;
  return result == sizeof *record;
}

static bool send_event(uint32_t kind, uint32_t container, uint64_t count) {
  struct record record;
  memset(&record, 0, sizeof record);
  record.kind = kind;
  record.container = container;
  record.monitor = containers[container].monitor;
  record.count = count;
  return send_record(&record);
}

static uint64_t now(void) {
  struct kernel_time time = {0, 0};
  CALL(clock_gettime, 1, &time);
  return (uint64_t)time.seconds * 1000 + (uint64_t)time.nanoseconds / 1000000;
}

static bool tell_kind(uint32_t container, struct kind *kind) {
  struct record record = {kind->told == 0 ? RECORD_KIND : RECORD_COUNT, container, containers[container].monitor, kind->key,
                          kind->pid, 0, kind->count, kind->first, {0}};
  memcpy(record.program, kind->program, sizeof record.program);
  if (!send_record(&record)) return false;
  kind->told = kind->count;
  return true;
}

// New kinds at once, counts now and then, and nothing while nobody reads: then the counts tell it later.
static void tell(void) {
  bool with_counts = has_counts && now() - counts_told_at >= COUNTS_EVERY;
  if (is_blocked || (!has_news && !with_counts)) return;
  for (uint32_t i = 0; i < container_count; i++) {
    struct container *container = &containers[i];
    for (uint32_t j = 0; j < container->kind_count; j++) {
      struct kind *kind = container->order[j];
      if (kind->told == kind->count || (kind->told != 0 && !with_counts)) continue;
      if (!tell_kind(i, kind)) return;
    }
    if (with_counts && container->lost != container->told_lost) {
      if (!send_event(RECORD_LOST, i, container->lost)) return;
      container->told_lost = container->lost;
    }
  }
  has_news = false;
  if (!with_counts) return;
  has_counts = false;
  counts_told_at = now();
}

// ── Denials ────────────────────────────────────────────────────────────────────────────────────────────────────

static bool is_same(const struct call_data *a, const struct call_data *b) {
  for (size_t i = 0; i < sizeof *a; i++)
    if (((const uint8_t *)a)[i] != ((const uint8_t *)b)[i]) return false;
  return true;
}

// Calls whose answer depends on the same words with the same values are of one kind.
static void note(struct container *container, const struct notification *call, uint32_t words) {
  struct call_data decisive;
  memset(&decisive, 0, sizeof decisive);
  uint32_t *to = (uint32_t *)(void *)&decisive;
  const uint32_t *from = (const uint32_t *)(const void *)&call->data;
  uint64_t hash = 0;
  for (uint32_t word = 0; word < sizeof decisive / 4; word++) {
    if ((words >> word & 1) == 0 && word > 1) continue;
    to[word] = from[word];
    hash = (hash ^ from[word]) * 0x9e3779b97f4a7c15U;
    hash ^= hash >> 29;
  }
  has_counts = true;
  for (uint32_t at = (uint32_t)(hash >> 32) % KINDS;; at = (at + 1) % KINDS) {
    struct kind *kind = &container->kinds[at];
    if (kind->count != 0 && !is_same(&kind->decisive, &decisive)) continue;
    if (kind->count == 0) {
      if (container->kind_count >= KINDS / 4 * 3) {
        container->lost++;
        return;
      }
      kind->decisive = decisive;
      kind->first = call->data;
      kind->pid = call->pid;
      kind->key = container->kind_count;
      program_name_in(proc, call->pid, kind->program);
      container->order[container->kind_count++] = kind;
      has_news = true;
    }
    kind->count++;
    return;
  }
}

static void forget(struct container *container) {
  memset(container->kinds, 0, sizeof container->kinds);
  container->kind_count = 0;
  container->lost = container->told_lost = 0;
}

// ── Answers ────────────────────────────────────────────────────────────────────────────────────────────────────
// callgate.answers: u8[8] "cganswr1", u32 filters, u32 0; for each u32 instructions, then they.

static long read_answers(struct container *container) {
  static uint8_t bytes[ANSWERS_MAXIMUM + 1];
  struct line path = {.length = 0};
  put(&path, container->folder);
  put(&path, "/callgate.answers");
  put_byte(&path, 0);
  long file = CALL(openat, AT_FDCWD, path.text, O_RDONLY | O_CLOEXEC, 0);
  if (file < 0) return file;
  size_t length = 0;
  while (length < sizeof bytes) {
    long count = CALL(read, file, bytes + length, sizeof bytes - length);
    if (count == -EINTR) continue;
    if (count <= 0) break;
    length += (size_t)count;
  }
  CALL(close, file);
  struct payload payload = {bytes, length, false};
  const uint8_t *magic = take(&payload, 16);
  if (magic == NULL || length > ANSWERS_MAXIMUM) return -EINVAL;
  for (size_t i = 0; i < 8; i++)
    if (magic[i] != (uint8_t)"cganswr1"[i]) return -EINVAL;
  uint32_t stack = load32(magic + 8);
  if (stack == 0 || stack > STACK_MAXIMUM) return -EINVAL;
  for (uint32_t i = 0; i < stack; i++) {
    const uint8_t *head = take(&payload, 4);
    uint32_t instructions = head == NULL ? 0 : load32(head);
    if (instructions == 0 || instructions > INSTRUCTIONS_MAXIMUM) return -EINVAL;
    const uint8_t *body = take(&payload, (size_t)instructions * sizeof container->filters[0][0]);
    if (body == NULL) return -EINVAL;
    memcpy(container->filters[i], body, (size_t)instructions * sizeof container->filters[0][0]);
    container->lengths[i] = instructions;
  }
  if (payload.left != 0) return -EINVAL;
  container->stack = stack;
  return 0;
}

// The strictest answer of the stack, of equal ones the newest filter's, as in the kernel; and what it depends on. Only
// refusals by an errno are handed up: whatever else comes out here is refused as well.
static uint32_t errno_of(const struct container *container, const struct call_data *data, uint32_t *words) {
  uint32_t strictest = SECCOMP_RETURN_ALLOW;
  for (uint32_t i = 0; i < container->stack; i++) {
    uint32_t value = run_filter(container->filters[i], container->lengths[i], data, words);
    if ((int32_t)(value & 0xffff0000U) <= (int32_t)(strictest & 0xffff0000U)) strictest = value;
  }
  return (strictest & 0xffff0000U) == SECCOMP_RETURN_ERRNO ? strictest & 0xfff : EPERM;
}

// One request, answered; whether the connection is to be kept.
static bool answer(struct connection *connection) {
  static uint8_t packet[PACKET_MAXIMUM] __attribute__((aligned(8)));
  struct container *container = &containers[connection->container];
  // Without room for them, the descriptors that LXC sends along are closed by the kernel.
  long length = call6(NUMBER_RECVFROM, WORD(connection->socket), WORD(packet), sizeof packet, DONT_WAIT, 0, 0);
  if (length == -EAGAIN || length == -EINTR) return true;
  if (length < HEADER) return false;
  const uint32_t call_size = packet[16] | (uint32_t)packet[17] << 8, reply_size = packet[18] | (uint32_t)packet[19] << 8;
  const uint64_t cookie = load64(packet + 24);
  struct notification call;
  struct response response;
  // A kernel with more to say says it behind what is known here.
  if (call_size < sizeof call || reply_size < sizeof response || cookie > PACKET_MAXIMUM ||
      (uint64_t)length != HEADER + call_size + reply_size + cookie)
    return false;
  memcpy(&call, packet + HEADER, sizeof call);
  uint32_t words = 0;
  const uint32_t number = errno_of(container, &call.data, &words);
  note(container, &call, words);
  response = (struct response){call.id, 0, -(int32_t)number, 0};
  memcpy(packet + HEADER + call_size, &response, sizeof response);
  const size_t size = HEADER + call_size + reply_size;
  return CALL(sendto, connection->socket, packet, size, DONT_WAIT | MSG_NOSIGNAL, 0, 0) == (long)size;
}

// ── Connections ────────────────────────────────────────────────────────────────────────────────────────────────

static void accept_monitor(uint32_t index) {
  struct container *container = &containers[index];
  long socket = call6(NUMBER_ACCEPT4, WORD(container->socket), 0, 0, SOCKET_CLOEXEC, 0, 0);
  if (socket < 0) return;
  struct {
    uint32_t pid, user, group;
  } peer = {0, 0, 0};
  uint32_t size = sizeof peer;
  long result = call6(NUMBER_GETSOCKOPT, WORD(socket), SOCKET, PEER_CREDENTIALS, WORD(&peer), WORD(&size), 0);
  const bool is_own = result == 0 && (peer.user == 0 || peer.user == (uint32_t)CALL(getuid));
  if (!is_own || connection_count == CONNECTIONS_MAXIMUM) {
    CALL(close, socket);
    return;
  }
  result = read_answers(container);
  if (result < 0) {
    CALL(close, socket);
    send_event(RECORD_REFUSED, index, (uint64_t)-result);
    return;
  }
  const bool is_back = container->monitor == peer.pid;
  if (!is_back) forget(container);
  container->monitor = peer.pid;
  connections[connection_count++] = (struct connection){(int)socket, index};
  send_event(is_back ? RECORD_BACK : RECORD_STARTED, index, 0);
}

static void listen_at(uint32_t index) {
  struct container *container = &containers[index];
  struct socket_address address;
  memset(&address, 0, sizeof address);
  address.family = UNIX;
  struct line path = {.length = 0};
  put(&path, container->folder);
  put(&path, "/callgate.watch");
  if (path.length >= sizeof address.path) fail("the path is too long for a socket:", container->folder, 0);
  memcpy(address.path, path.text, path.length);

  long folder = CALL(openat, AT_FDCWD, container->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (folder < 0) fail("cannot open", container->folder, folder);
  // Held until the end: what is left from a watcher that was killed can be taken away.
  long result = call6(NUMBER_FLOCK, WORD(folder), LOCK_EXCLUSIVE_NOW, 0, 0, 0, 0);
  if (result == -EAGAIN) fail("another callgate lxc watch is there already for", container->folder, 0);
  if (result < 0) fail("cannot lock", container->folder, result);
  call6(NUMBER_UNLINKAT, WORD(AT_FDCWD), WORD(address.path), 0, 0, 0, 0);

  long socket = CALL(socket, UNIX, SEQPACKET | SOCKET_CLOEXEC, 0);
  if (socket < 0) fail("cannot make a socket for", container->folder, socket);
  CALL(umask, 0177);
  result = call6(NUMBER_BIND, WORD(socket), WORD(&address), sizeof address, 0, 0, 0);
  if (result < 0) fail("cannot bind", address.path, result);
  result = call6(NUMBER_LISTEN, WORD(socket), 8, 0, 0, 0, 0);
  if (result < 0) fail("cannot listen at", address.path, result);
  container->socket = (int)socket;
}

static void drop(uint32_t index) {
  CALL(close, connections[index].socket);
  send_event(RECORD_GONE, connections[index].container, 0);
  connections[index] = connections[--connection_count];
}

static void serve(void) {
  static struct {
    int descriptor;
    int16_t events, returned;
  } waiting[1 + CONTAINERS_MAXIMUM + CONNECTIONS_MAXIMUM];
  for (;;) {
    waiting[0].descriptor = RECORDS;
    waiting[0].events = is_blocked ? POLL_OUT : 0;
    for (uint32_t i = 0; i < container_count; i++) {
      waiting[1 + i].descriptor = containers[i].socket;
      waiting[1 + i].events = POLL_IN;
    }
    const uint32_t first = 1 + container_count, count = connection_count;
    for (uint32_t i = 0; i < count; i++) {
      waiting[first + i].descriptor = connections[i].socket;
      waiting[first + i].events = POLL_IN;
    }
    struct kernel_time patience = {0, COUNTS_EVERY * 1000000};
    long result = CALL(ppoll, waiting, first + count, has_counts && !is_blocked ? &patience : NULL, 0, 0);
    if (result < 0 && result != -EINTR) fail("cannot wait for", "calls", result);
    if (result < 0) continue;
    if ((waiting[0].returned & POLL_ENDED) != 0) return;
    if ((waiting[0].returned & POLL_OUT) != 0) is_blocked = false;
    // From the last on, since the last takes the place of one that is dropped.
    for (uint32_t i = count; i > 0; i--) {
      const int16_t returned = waiting[first + i - 1].returned;
      if ((returned & POLL_IN) != 0 ? !answer(&connections[i - 1]) : (returned & POLL_ENDED) != 0) drop(i - 1);
    }
    for (uint32_t i = 0; i < container_count; i++)
      if ((waiting[1 + i].returned & POLL_IN) != 0) accept_monitor(i);
    tell();
  }
}

__attribute__((used)) _Noreturn void start(const uint64_t *stack) {
  int argc = (int)stack[0];
  const char **argv = (const char **)(uintptr_t)(stack + 1);
  if (argc < 2) fail("this program is a part of callgate and is started by it:", "callgate lxc watch", 0);
  if (argc - 1 > CONTAINERS_MAXIMUM) fail("more than 64 containers are too many for one watcher, from", argv[65], 0);
  CALL(prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  // What a terminal says is for callgate: stopped there, it still has its containers' calls answered here.
  static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, 20, 21, 22};
  struct signal_action ignore = {.handler = SIG_IGN};
  for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) CALL(rt_sigaction, ignored[i], &ignore, 0, 8);
  long opened = CALL(openat, AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  if (opened < 0) fail("cannot open", "/proc", opened);
  proc = (int)opened;
  for (int i = 1; i < argc; i++) {
    containers[container_count].folder = argv[i];
    listen_at(container_count++);
  }
  send_event(RECORD_LISTENING, 0, 0);
  serve();
  leave(0);
}
