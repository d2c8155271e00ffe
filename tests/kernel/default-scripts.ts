/** The work of default-programs.test.ts: scripts for real programs, whose output is the same at every run. */

export interface Work {
  readonly name: string;
  /** A script for `language`. */
  readonly script: string;
  /** By default bash, which ends at the first error. */
  readonly language?: readonly string[];
  /** Must stand in the output: the work was really done. */
  readonly shows: RegExp;
  /** Files whose content differs from run to run. */
  readonly except?: RegExp;
}

const shell: Work = {
  name: "bash: pipelines, job control, process substitution, traps, coprocesses",
  shows: /^total 5050\n.*HELLO\n.*caught TERM\n.*stopped and continued/s,
  script: String.raw`
    seq 100 | awk '{s += $1} END {print "total", s}' | tee >(cat > copy; : > copied) | cat
    until [ -e copied ]; do sleep 0.01; done; rm copied
    diff <(printf '%s\n' b a c | sort) <(printf '%s\n' a b c) && echo same
    coproc tr a-z A-Z
    exec 5<&"$COPROC" 6>&"${"$"}{COPROC[1]}"
    eval "exec ${"$"}{COPROC[1]}>&-"
    echo hello >&6
    exec 6>&-
    cat <&5
    wait
    bash -c 'trap "echo caught TERM; exit 7" TERM; kill -TERM $$; sleep 5' || echo "status $?"
    sleep 30 & kill -STOP "$!"; kill -CONT "$!"; kill "$!"; wait "$!" || echo "ended with $?"
    # What bash says of a job, and when, is a matter of timing: a shell of its own keeps it to itself, since the next
    # command of this one would be told what that one was not. Compared is how jobs end.
    (
      set -m
      bash -c 'kill -STOP $$; echo continued' | cat &
      until grep -q '^State:.T' "/proc/$(jobs -p %%)/status"; do sleep 0.01; done
      kill -CONT %%
      wait
    ) 2> jobs.log
    rm jobs.log
    echo stopped and continued
    (ulimit -n 64; ulimit -n)
    (umask 077; echo private > private)
    timeout 0.1 sleep 5 || echo "timed out with $?"
    for i in 1 2 3; do (sleep "0.0$i"; echo "$i") & done | sort
    exec 7<> named; echo written >&7; cat named
  `,
};

const files: Work = {
  name: "coreutils: copies, links, modes, owners, times, special files",
  shows: /a\.txt: OK\n.*2001-02-03.*drwxr-sr-x.*prw.*pair/s,
  script: `
    mkdir -p deep/er/est
    echo alpha > a.txt
    cp -a a.txt b.txt
    cp --reflink=auto --sparse=always a.txt deep/c.txt
    ln a.txt hard
    ln -s a.txt soft
    mv b.txt deep/er/
    install -D -m 750 a.txt inst/dir/file
    mkfifo pipe
    mknod pipe2 p
    sha256sum a.txt > sums
    sha256sum -c sums
    touch -d '2001-02-03 04:05:06' a.txt
    stat -c '%n %s %a %h %y' a.txt
    chmod 2755 deep
    chmod u+s inst/dir/file
    chown -R "$(id -u):$(id -g)" deep
    chgrp "$(id -g)" a.txt
    ls -lR --time-style=+ .
    dd if=/dev/zero of=zeros bs=1k count=4 status=none
    truncate -s 1M sparse
    fallocate -l 64K allocated
    du -k --apparent-size sparse
    df . > /dev/null
    sync sparse
    shred -u -n1 zeros
    readlink -f soft | sed 's|.*/||'
    realpath --relative-to=deep a.txt
    mktemp -d ./tmp.XXXX | cut -c-6
    rm -r tmp.*
    (echo from the; sleep 0.05; echo pair) > pipe & cat pipe
    tail -n +1 -F sums > followed & until [ -s followed ]; do sleep 0.01; done
    echo appended >> sums; until grep -q appended followed; do sleep 0.01; done
    kill %%; wait || true; cat followed
    unlink hard
  `,
};

const text: Work = {
  name: "coreutils: text, sums, numbers, processes",
  shows: /20,19,18.*same day.*1 a b.*98: 2 7 7/s,
  script: String.raw`
    seq 20 | shuf --random-source=<(seq 1000) | sort -n | tail -n 3 | tac | paste -sd,
    seq 10 | split -l 4 - part-
    wc -l part-*
    echo text > file
    md5sum file; b2sum file; cksum file; sum file; sha1sum < file
    now=$(date +%s)
    test "$(date -u -d "@$now" +%F)" = "$(TZ=UTC date -d "@$now" +%F)" && echo same day
    date -u -d @86400 +%F
    printf 'x y\n1 2\n' | cut -d' ' -f2 | tr 0-9 a-j | nl
    seq 3 | csplit -s - 2
    join <(echo '1 a') <(echo '1 b')
    comm <(echo a) <(echo b)
    printf 'long line of words here\n' | fold -w 9 | fmt -w 12 | expand | od -An -tx1 | base64 -w0
    factor 97 98
    expr 6 '*' 7
    numfmt --to=iec 123456789
    echo 'a b b c' | tsort
    nice -n 3 nice
    nohup true
    env -i A=1 printenv A
    stdbuf -oL echo out
    uname -sm
    nproc > /dev/null
    id -u
    whoami
    tty || true
  `,
};

const system: Work = {
  name: "util-linux and procps: locks, sessions, priorities, personalities, terminals",
  shows: /locked\ni686\nsession.*SCHED_OTHER.*none.*0 0\r\n\/dev\/pts\//s,
  script: String.raw`
    flock lock echo locked
    setarch linux32 uname -m
    setsid -w echo session
    ionice -c 3 ionice
    taskset -c 0 nproc
    chrt -p $$ | sed 's/[0-9]\{2,\}/N/'
    prlimit --nofile=100 bash -c 'ulimit -n'
    renice -n 19 -p $$ > /dev/null
    nice
    ps -o comm= -p $$
    pgrep -f '^no such program here$' || echo none
    sleep 1000 & until pkill -P $$ sleep; do :; done; wait || true
    free > /dev/null
    getopt -o ab: -- -a -b x
    rev <<< abc
    findmnt -n -o TARGET /
    setpriv --no-new-privs id -u
    getent ahosts 127.0.0.1 | wc -l
    script -qec 'stty size; tty | cut -c-9; test -t 0 && echo terminal' /dev/null < /dev/null
  `,
};

const search: Work = {
  name: "find, xargs, grep, sed, awk, diff, patch, and sort with temporary files",
  shows: /sorted 200000\n.*patched/s,
  except: /^change$/,
  script: `
    seq 200000 | shuf --random-source=<(seq 200000) > numbers
    sort -n -S 1M -T . --parallel=2 numbers | uniq | wc -l | sed 's/^/sorted /'
    mkdir -p tree/{a,b,c}
    for folder in tree/*; do seq 50 > "$folder/list"; done
    find tree -name list -newer numbers -size -2 -print0 | sort -z | xargs -0 -P 2 -n 1 wc -l | sort
    find tree -type f -exec grep -l 42 {} + | sort
    grep -rc '^4' tree | sort
    sed -i 's/^42$/forty-two/' tree/a/list
    diff -u tree/b/list tree/a/list > change || true
    (cd tree/b && patch -s list ../../change && grep -q forty-two list && echo patched)
    awk '{n[$1 % 7]++} END {for (key in n) print key, n[key] | "sort"}' numbers
    find tree -delete
    cmp numbers numbers
  `,
};

const git: Work = {
  name: "git: clone, commit, branch, merge, push, log, archive, gc, stash, worktree",
  shows: /Merge branch 'topic'.*second.*\n41\n/s,
  except: /\.git\/(worktrees\/[^/]+\/)?index$|\.git\/objects\/|\.git\/info\/refs|\.git\/logs\/refs\/stash/,
  script: `
    export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
    git config --global user.name A
    git config --global user.email a@example.org
    git config --global init.defaultBranch main
    git config --global advice.detachedHead false
    git init -q --shared=group origin
    (cd origin; for i in $(seq 40); do echo "$i" > "file$i"; done; git add .; git commit -qm first)
    git clone -q origin plain
    git clone -q --no-local "file://$PWD/origin" copy
    cd copy
    echo more >> file1
    git commit -qam second
    git switch -qc topic HEAD~1
    echo topic > topic
    git add topic
    git commit -qm topic
    git switch -q main
    git merge -q --no-edit topic
    git log --oneline --graph --decorate
    git show --stat HEAD~1 | tail -1
    git tag -a v1 -m one
    git push -q origin topic
    git fsck 2> /dev/null
    git gc -q
    git blame file1
    git archive v1 | tar t | wc -l
    echo x > file2
    git stash -q
    git stash pop -q
    git checkout -q file2
    git worktree add -q ../tree topic
    git grep -c 1 file1
    git status --short
  `,
};

const python: Work = {
  name: "python3: threads, processes, sqlite3, asyncio, sockets, shared memory, terminals",
  language: ["/usr/bin/python3", "-B", "-c"],
  shows: /threads 499500.*pool \[0, 1, 4, 9\].*sqlite 5000.*echoed\nechoed.*terminal/s,
  except: /\.db/,
  script: `
import asyncio, concurrent.futures, fcntl, mmap, multiprocessing, os, resource, select, shutil, signal
import socket, sqlite3, subprocess, tempfile, threading, time
from multiprocessing import shared_memory

def square(n): return n * n

total, lock = 0, threading.Lock()
def add(numbers):
    global total
    for n in numbers:
        with lock: total += n
threads = [threading.Thread(target=add, args=(range(i, 1000, 8),)) for i in range(8)]
for t in threads: t.start()
for t in threads: t.join()
print("threads", total)
with concurrent.futures.ThreadPoolExecutor(4) as pool: print(sum(pool.map(square, range(100))))

with multiprocessing.Pool(2) as pool: print("pool", pool.map(square, range(4)))
for method in ("spawn", "forkserver"):
    process = multiprocessing.get_context(method).Process(target=time.sleep, args=(0,))
    process.start()
    process.join()
    print(method, process.exitcode)
queue = multiprocessing.Queue()
queue.put("queued")
print(queue.get())
shared = shared_memory.SharedMemory(create=True, size=4096)
shared.buf[0] = 7
print(shared.buf[0])
shared.close()
shared.unlink()

print(subprocess.run(["sort", "-r"], input="a\\nb\\n", text=True, capture_output=True).stdout.split())
print(subprocess.run("exit 3", shell=True).returncode, os.waitstatus_to_exitcode(os.system("kill -9 $$")))
print(subprocess.run(["id", "-u"], start_new_session=True, capture_output=True).stdout)
os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)

db = sqlite3.connect("data.db")
db.execute("pragma journal_mode=wal")
db.execute("create table t(n integer primary key, s text)")
with db: db.executemany("insert into t values(?, ?)", ((i, str(i)) for i in range(5000)))
print("sqlite", db.execute("select count(*) from t").fetchone()[0])
db.close()

async def serve(reader, writer):
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()
async def ask(reader, writer):
    writer.write(b"echoed\\n")
    print((await reader.readline()).decode().strip())
    writer.close()
async def talk():
    tcp = await asyncio.start_server(serve, "127.0.0.1", 0)
    await ask(*await asyncio.open_connection(*tcp.sockets[0].getsockname()))
    unix = await asyncio.start_unix_server(serve, "socket")
    await ask(*await asyncio.open_unix_connection("socket"))
    child = await asyncio.create_subprocess_exec("echo", "child", stdout=asyncio.subprocess.PIPE)
    print((await child.communicate())[0], await asyncio.to_thread(square, 12))
asyncio.run(talk())
os.unlink("socket")

left, right = socket.socketpair()
socket.send_fds(left, [b"fd"], [0])
data, fds, *_ = socket.recv_fds(right, 10, 1)
print(data, len(fds))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
udp.setsockopt(socket.SOL_IP, socket.IP_TTL, 9)
udp.sendto(b"udp", udp.getsockname())
print(udp.recv(10))
tcp = socket.create_server(("127.0.0.1", 0), reuse_port=True)
tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
print(socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)[0][4][1], len(socket.if_nameindex()) > 0)

with open("mapped", "wb+") as f:
    f.truncate(8192)
    m = mmap.mmap(f.fileno(), 8192)
    m[0:5] = b"hello"
    m.flush()
    m.resize(16384)
    print(m[0:5])
    m.close()
    fcntl.lockf(f, fcntl.LOCK_EX)
shutil.copy2("mapped", "copied")
memory = os.memfd_create("memory")
os.write(memory, b"12")
print(os.fstat(memory).st_size, len(os.urandom(8)), len(os.sched_getaffinity(0)) > 0)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0, os.getpriority(os.PRIO_PROCESS, 0))
with tempfile.TemporaryDirectory() as folder: os.mkfifo(folder + "/fifo")

rung = []
signal.signal(signal.SIGALRM, lambda *_: rung.append("alarm"))
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02) # again and again: one may come before the pause
signal.pause()
signal.setitimer(signal.ITIMER_REAL, 0)
print(rung[0])
reader, writer = os.pipe2(os.O_NONBLOCK)
events = select.epoll()
events.register(reader)
os.write(writer, b"1")
print(len(events.poll(1)))

pid, terminal = os.forkpty()
if pid == 0: os.execlp("sh", "sh", "-c", "test -t 0 && echo terminal")
print(os.read(terminal, 100).decode().strip())
os.waitpid(pid, 0)
`,
};

const node: Work = {
  name: "node: workers, child processes, fs.watch, http over loopback, crypto, streams",
  language: ["node", "--input-type=commonjs", "-e"],
  shows: /worker 42,42,42\n.*child hello.*watched true.*http 200 pong.*forked message/s,
  script: `
const { Worker } = require("node:worker_threads");
const { execFile, execFileSync, fork, spawn } = require("node:child_process");
const { once } = require("node:events");
const fs = require("node:fs");
const http = require("node:http");
const net = require("node:net");
const os = require("node:os");
const crypto = require("node:crypto");
const zlib = require("node:zlib");
const dgram = require("node:dgram");
const { pipeline } = require("node:stream/promises");
const { promisify } = require("node:util");

const answer = "require('node:worker_threads').parentPort.postMessage(6 * 7)";
const work = async () => (await once(new Worker(answer, { eval: true }), "message"))[0];

async function main() {
  console.log("worker", (await Promise.all([work(), work(), work()])).join());
  console.log("child", execFileSync("sh", ["-c", "echo hello"]).toString().trim());
  console.log((await promisify(execFile)("cat", ["/proc/self/comm"])).stdout.trim());
  const sleeper = spawn("sleep", ["30"], { detached: true });
  await once(sleeper, "spawn");
  sleeper.kill();
  console.log(await once(sleeper, "exit"));
  fs.writeFileSync("forked.cjs", "process.send('message')");
  console.log("forked later");

  const watcher = fs.watch(".");
  const seen = once(watcher, "change");
  fs.writeFileSync("new", "x");
  console.log("watched", (await seen).length === 2);
  watcher.close();

  const server = http.createServer((_, reply) => reply.end("pong")).listen(0, "127.0.0.1");
  await once(server, "listening");
  const reply = await fetch("http://127.0.0.1:" + server.address().port);
  console.log("http", reply.status, await reply.text());
  server.closeAllConnections();
  server.close();
  const unix = net.createServer((client) => client.end("unix")).listen("socket");
  await once(unix, "listening");
  console.log(String((await once(net.connect("socket"), "data"))[0]));
  unix.close();
  const udp = dgram.createSocket("udp4");
  udp.bind(0, "127.0.0.1");
  await once(udp, "listening");
  udp.send("udp", udp.address().port, "127.0.0.1");
  console.log(String((await once(udp, "message"))[0]));
  udp.close();
  console.log(Object.keys(os.networkInterfaces()).length > 0, os.cpus().length > 0, os.getPriority());

  console.log((await promisify(crypto.pbkdf2)("p", "s", 1000, 8, "sha256")).toString("hex"));
  console.log(crypto.generateKeyPairSync("ed25519").publicKey.type);
  fs.writeFileSync("big", Buffer.alloc(300000, "abc"));
  await pipeline(fs.createReadStream("big"), zlib.createGzip(), zlib.createGunzip(), fs.createWriteStream("big2"));
  console.log(fs.readFileSync("big").equals(fs.readFileSync("big2")));
  fs.cpSync("big", "copy");
  fs.rmSync("big2");
  console.log((await fs.promises.readdir(".")).sort().join());
  await WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
  console.log(new Function("return 1 + 1")());
  console.log("forked", (await once(fork("./forked.cjs"), "message"))[0]);
}
main();
`,
};

const build: Work = {
  name: "gcc and make -j2: compiling, archiving, linking dynamically and statically, running",
  shows: /(sum 5050 threads 4\n){3}.*Nothing to be done.*status 3/s,
  except: /^optimised$/,
  script: String.raw`
    echo 'int sum(int);' > sum.h
    cat > sum.c <<'END'
    #include "sum.h"
    int sum(int n) { int s = 0; for (int i = 1; i <= n; i++) s += i; return s; }
END
    cat > main.c <<'END'
    #include <pthread.h>
    #include <stdatomic.h>
    #include <stdio.h>
    #include "sum.h"
    static atomic_int n;
    static void *count(void *argument) { n++; return argument; }
    int main(void) {
      pthread_t t[4];
      for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, count, 0);
      for (int i = 0; i < 4; i++) pthread_join(t[i], 0);
      printf("sum %d threads %d\n", sum(100), n);
    }
END
    tr '>' '\t' > Makefile <<'END'
CFLAGS = -O2 -Wall -g -pipe
all: app static shared
%.o: %.c sum.h
>gcc $(CFLAGS) -c $< -o $@
libsum.a: sum.o
>ar rcsD $@ $^
libsum.so: sum.c
>gcc $(CFLAGS) -shared -fPIC $^ -o $@
app: main.o libsum.a
>gcc $^ -o $@ -lpthread
static: main.o libsum.a
>gcc -static $^ -o $@ -lpthread
shared: main.o libsum.so
>gcc main.o -o $@ -L. -lsum -lpthread
END
    make -s -j2 -O
    ./app
    ./static
    LD_LIBRARY_PATH=. ./shared
    make -j2
    ldd app | wc -l
    nm libsum.a | grep -c ' T '
    strip static
    gcc -flto -O2 main.c sum.c -o optimised -lpthread
    ./optimised
    echo 'int main() { return 3; }' | gcc -x c - -o three
    ./three || echo "status $?"
    echo 'int main() { return x; }' | gcc -x c - 2> /dev/null || echo "refused with $?"
  `,
};

const archives: Work = {
  name: "tar, gzip, bzip2, xz and zstd: packing and unpacking every kind of file",
  shows: /gz same\nbz2 same\nxz same\nzst same/,
  except: /\.(gz|bz2|xz|zst|tar)$/,
  script: `
    mkdir -p in/sub
    seq 20000 > in/numbers
    ln -s numbers in/soft
    ln in/numbers in/hard
    mkfifo in/fifo
    truncate -s 3M in/sparse
    echo end >> in/sparse
    chmod 4755 in/numbers
    chmod 1777 in/sub
    touch -d @1000 in/sub
    for kind in gz bz2 xz zst; do
      tar --sort=name -caf "all.tar.$kind" in
      mkdir "out-$kind"
      tar -xpSf "all.tar.$kind" -C "out-$kind"
      diff -r --no-dereference -x fifo in "out-$kind/in" && echo "$kind same"
      rm -r "out-$kind"
    done
    xz -T2 -k in/sparse -c | xz -dc | cmp - in/sparse
    zstd -q -T2 in/sparse -o sparse.zst
    zstd -q -t sparse.zst
    gzip -kc in/numbers | zcat | wc -l
    bzip2 -kc in/numbers | bunzip2 | wc -l
    tar --numeric-owner --xattrs -cf one.tar in
    tar -tf one.tar | sort
    tar --delete -f one.tar in/soft
    tar -xOf one.tar in/sub/../numbers 2> /dev/null | wc -l || true
  `,
};

const perl: Work = {
  name: "perl: processes, sockets, files, signals",
  language: ["perl", "-we"],
  shows: /pong\nchild 3\nunix\nOPEN3\nbackticks\n.*alarm/s,
  script: String.raw`
    use strict;
    use Fcntl qw(:flock);
    use File::Find;
    use File::Temp qw(tempdir);
    use IO::Socket::INET;
    use IO::Socket::UNIX;
    use IPC::Open3;
    use POSIX ();
    use Socket;
    use Time::HiRes qw(ualarm usleep);
    $| = 1;

    my $server = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die $@;
    unless (fork) { my $client = $server->accept; print $client "pong\n"; POSIX::_exit(3) }
    print IO::Socket::INET->new("127.0.0.1:" . $server->sockport)->getline;
    wait;
    print "child ", $? >> 8, "\n";
    my $unix = IO::Socket::UNIX->new(Local => "socket", Listen => 1) or die $!;
    unless (fork) { my $client = IO::Socket::UNIX->new("socket"); print $client "unix\n"; POSIX::_exit(0) }
    print $unix->accept->getline;
    wait;
    unlink "socket";

    my $pid = open3(my $in, my $out, undef, "tr", "a-z", "A-Z");
    print $in "open3\n";
    close $in;
    print <$out>;
    waitpid $pid, 0;
    print qx(echo backticks);
    system("exit 4");
    print $? >> 8, "\n";
    open my $pipe, "-|", "sort", "/etc/passwd" or die $!;
    my @lines = <$pipe>;
    print @lines > 0, "\n";

    local $SIG{ALRM} = sub { print "alarm\n" };
    ualarm 20000;
    usleep 100000;
    my $folder = tempdir(CLEANUP => 1);
    open my $file, ">", "$folder/f" or die $!;
    flock $file, LOCK_EX or die $!;
    print $file "x" x 10;
    close $file;
    find(sub { print -s _, "\n" if -f }, $folder);
    rename "$folder/f", "$folder/g";
    chmod 0600, "$folder/g";
    printf "%o\n", (stat "$folder/g")[2];
    socketpair(my $left, my $right, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!;
    syswrite $left, "pair";
    sysread $right, my $read, 4;
    print "$read ", (getpwuid $<)[0], "\n";
  `,
};

const keys: Work = {
  name: "ssh-keygen: keys, signatures, certificates, passphrases",
  shows: /Good "file" signature for me/,
  except: /^(key-|file\.sig|allowed)/,
  script: `
    for kind in ed25519 rsa ecdsa; do
      ssh-keygen -q -t "$kind" -N '' -C test -f "key-$kind"
      ssh-keygen -l -f "key-$kind.pub" | sed 's/SHA256:[^ ]*//'
    done
    echo content > file
    ssh-keygen -q -Y sign -f key-ed25519 -n file file 2> /dev/null
    echo "me $(cat key-ed25519.pub)" > allowed
    ssh-keygen -Y verify -f allowed -I me -n file -s file.sig < file | sed 's/ with .*//'
    ssh-keygen -q -s key-rsa -I id -n me key-ed25519.pub
    ssh-keygen -q -p -N secret -P '' -f key-ecdsa > /dev/null
  `,
};

export const works: readonly Work[] = [
  shell,
  files,
  text,
  system,
  search,
  git,
  python,
  node,
  build,
  archives,
  perl,
  keys,
];

/** curl against a server on 127.0.0.1 that answers with the method, the path and the size of what was sent. */
export function curl(port: number): Work {
  return {
    name: "curl: fetching and sending over loopback",
    shows: /GET \/one 0.*PUT \/up 100000.*POST \/form.*refused 7/s,
    script: `
      url=http://127.0.0.1:${port}
      curl -sS "$url/one" | cut -c-10
      truncate -s 100000 body
      curl -sS -T body "$url/up" | cut -c-14
      curl -sS -F a=1 "$url/form" | cut -c-10
      curl -sS --parallel -o 'part-#1' "$url/{a,b,c}" 2> /dev/null
      wc -c part-*
      curl -sS -I "$url/" | head -1
      curl -sS --resolve "name.test:${port}:127.0.0.1" -o resolved "http://name.test:${port}/r"
      curl -sS -o localhost "http://localhost:${port}/l"
      curl -sS http://127.0.0.1:1/ 2> /dev/null || echo "refused $?"
    `,
  };
}

/** Threads, processes, files, pipes, times and memory of a 32-bit program; then what its sockets get. */
export const program32 = `
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void *add(void *argument) { *(int *)argument += 1; return argument; }

int main(void) {
  int counted = 0, ends[2];
  char text[16] = "";
  for (int i = 0; i < 4; i++) {
    pthread_t thread;
    pthread_create(&thread, NULL, add, &counted);
    pthread_join(thread, NULL);
  }
  FILE *file = fopen("written", "w");
  fprintf(file, "%d", counted);
  fclose(file);
  struct stat status;
  stat("written", &status);
  pipe(ends);
  if (fork() == 0) {
    dup2(ends[1], 1);
    execl("/bin/echo", "echo", "child", NULL);
    _exit(1);
  }
  wait(NULL);
  read(ends[0], text, 6);
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int segment = shmget(IPC_PRIVATE, 4096, 0600);
  void *shared = shmat(segment, NULL, 0);
  shmctl(segment, IPC_RMID, NULL);
  printf("%d bits, %d threads, %d bytes, %s", (int)sizeof(long) * 8, counted, (int)status.st_size, text);
  printf("map %d shared %d time %d\\n", map != MAP_FAILED, shared != (void *)-1, now.tv_sec > 0);
  fprintf(stderr, "%s\\n", socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? "socket" : strerrorname_np(errno));
  return 0;
}
`;
