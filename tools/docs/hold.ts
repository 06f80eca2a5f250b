/**
 * docs/hold.md: how the port stays open, what was tested with it, what it cannot do, and the table of the last benchmark.
 */
import { benchTable } from './benchmarks.ts';

const page = `# hold

\`rebind hold 3000 -- npm start\` opens the listening socket itself and keeps it open while the program restarts, crashes, is redeployed or is edited. No connection is refused, reset or left hanging.

## What happens

1. The socket is made with raw system calls. No event loop of rebind ever polls it, so rebind never takes a connection.
2. The command is started on it. An unmodified Node program finds it through a preload (\`--require\` of \`rebind/adopt\`, added to NODE_OPTIONS): when it listens on that endpoint, the handle that Node is about to bind opens the held socket instead, which is recognised by device and inode and not by the number of the descriptor. npm, npx, tsx and nodemon hand it on; a wrapper that drops descriptors (\`node --watch\`) does no harm, because rebind then sends the socket to the process that asks. Programs in other languages find it as systemd passes it: LISTEN_FDS, LISTEN_FDNAMES and the right LISTEN_PID.
3. On a restart (SIGHUP, \`--watch\`, a crash, \`rebind hold --restart 3000\`) the new program starts beside the old one. It is ready when its server listens on the held socket, when it says READY=1 (sd_notify) or \`process.send('ready')\`, or when the kernel shows that it waits for input there (epoll, poll, select or accept). A connection that succeeds proves nothing, because the queue of a held socket answers for anybody.
4. When it is ready the old one stops accepting, and its connections end one by one: an answer that is under way is finished and says \`Connection: close\`; a connection that is idle is closed after a second of silence; one that has sent nothing yet keeps its time; WebSockets of any package get close 1012, HTTP/2 gets GOAWAY. Then SIGTERM, and SIGKILL after \`--grace\`. Node's own \`server.close()\` loses connections at two of these places, and since Node 26 at a third.
5. If the new process crashes or does not become ready, hold stops it, shows its error, and the old process keeps serving.

With \`--hand-off\` an idle HTTP/1.1 connection is not closed but moved: the old program sends its descriptor to the new one, which goes on where the old one stopped, and the client notices nothing. The drain then takes milliseconds instead of the second of silence. It is for Node programs that keep nothing about a connection between two requests; connections below TLS, WebSockets and half-read requests stay and drain as above.

Without an endpoint, \`rebind hold -- npm start\` learns the port when the program first listens, port 0 included, and owns it from then on.

A bare port follows the program: when the program asks for 127.0.0.1 only, that is what is held, and nothing is opened to the network; when it asks for ::1 as well, that is held, too. An address that was typed is held as typed.

## What a program can notice

A program under hold sees the events, errors, exit statuses and globals that it would see without hold. The held socket is opened by Node's own handle, so \`server.address()\`, \`server._handle\`, what is sent to child processes and cluster workers, and the errors with their stack traces are Node's own; no listener is added and no function of a server is replaced. A ring of more than 200 programs says so on Node 20, 22, 24 and 26 (\`npm run unmodified\`), and so do Node's own tests of net, http, https, http2, tls, dgram, cluster, child_process, worker_threads, process, dns, async_hooks and events (\`npm run node-tests -- FOLDER\` runs them): 1,579 on Node 20, and of the tests of Node 22.22.2 that pass plainly 1,135 on Node 22, 527 on Node 24 and 637 on Node 26. These four differ, for the reasons below:

| test | door | why |
|---|---|---|
| sequential/test-net-localport, sequential/test-https-connect-localport | its own port held | a client cannot bind a held port |
| parallel/test-dgram-error-message-address | \`rebind/explain\` | the message says more than the test expects |
| parallel/test-http-upgrade-server-callback | a learned port | its second server on port 0 gets the learned port again, and its client still has a connection to the first one |

What is inherent in holding a port:

- A held port accepts connections while its server is closed, or does not listen yet: they wait in the queue. Only a client within the program is refused then, as without hold: programs look so whether their port is free, or their server closed. It waits, too, where the program has closed its server and has started other processes, which may serve on a copy; and where the program says itself that it is ready (\`--ready notify\`, \`--ready message\`).
- A client cannot bind a held port as its own (\`localPort\`), and a UDP socket cannot bind a held UDP port, unless that is the server.
- The file of a held Unix socket stays when the server closes, and comes back within milliseconds when a program removes it, as many do before they listen and when they exit: hold keeps a second name for it, \`.app.sock.rebind\`, in the same directory. Hold removes both at its end. Its mode is what hold's umask made it; \`readableAll\` and \`writableAll\` work.
- The queue is as long as hold made it (\`--backlog\`), whatever backlog the program asks for.
- Socket options that are set before the bind are hold's: a server with \`reusePort\` shares the one held socket with the others instead of having one of its own.
- A port that hold learned goes to the next process or thread of the same run that asks for it, once the one that had it has closed it or exited: below nodemon and other watchers, too, and for port 0, which is the learned port again then. A program that is not Node gets EADDRINUSE, as hold has it: name the port there.
- A program that served and then failed is started again.
- These variables are in the environment: NODE_OPTIONS (with the preload), REBIND_HOLD, REBIND_GENERATION, LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES and NOTIFY_SOCKET. A child of a process that serves gets none of the last six.
- Until a process serves, the processes that it starts inherit the held descriptors, as they may be the server.
- A process that binds something has one connection to hold, which async_hooks show. A listener that the program adds for \`uncaughtExceptionMonitor\` is its second. With \`--ready message\`, a process without an IPC channel has a \`process.send\`.
- A server without a connection listener, which is mostly a probe, does not take connections from the queue in its first 250 ms.
- Two servers of one program on two addresses that are both covered by an address that was typed, such as 127.0.0.1 and ::1 under \`hold '[::]:3000'\`, are one address: the second one gets EADDRINUSE. Type the port alone.
- Under \`node --permission\` the file of the preload must be readable (\`--allow-fs-read\`).

## How it is measured
`;

const afterTable = `
Nothing is retried. The server has no signal handler, except where the row says graceful: there it has the textbook \`server.close(() => process.exit())\`. More tables, a bad release, a crash, a killed supervisor among them: [benchmarks.md](benchmarks.md). Run it yourself with \`npm run bench -- hold\`.

Responses that a server was sending when SIGKILL killed it are lost, under any supervisor. Connections in the queue are not lost.

If a new process crashes just after it became ready, while the old one drains, hold starts a third at once. Connections wait in the queue meanwhile; only those that the crashed process had accepted are lost.

## When something fails

No failure in hold, or around it, stops the command or closes a socket. Failures are reported, counted, and shown by \`rebind hold --status\`.

| what fails | what happens |
|---|---|
| a new process cannot be started: no descriptors, no memory, a full process table, a directory that is gone | refused; the old one serves on. Without an old one it is tried again, 30 s apart at most, and the port stays open |
| nobody reads the log, its disk is full, its terminal is stopped | hold's lines are dropped and counted. A file or terminal is the command's own stderr; a pipe is closed for it when its reader is gone, and waits when its reader does |
| hold is killed | its guard stops the command, identified by descriptors and start times: a process that has reused a pid is left alone |
| hold is pid 1, or processes lose their parent below it | their status is read, and no zombie is left; below a shell or npm that dies of the signal, the exit status is that of the server |
| the limit of inotify is reached | named, with how to raise it; the other directories are looked at once a second |
| the command writes what is watched | the file is named once, and each restart for it waits twice as long, a minute at most; other edits restart at once |
| the command has an inspector on a fixed port | the old generation ends before the next one starts, unless \`--overlap\` is given; \`--inspect=0\` lets both run |

\`npm run soak\` does all of this at once, with hostile peers of another user, under 180 requests a second of HTTP/1, WebSocket, HTTP/2 and TLS.

## Tested with

Every row is a test that restarts it under load and counts what is lost.

| | what is lost |
|---|---|
| Node 20, 22, 24, 26: http, cluster (both schedulings), worker threads, Unix sockets | nothing |
| express, fastify, koa, hono, vite's dev server, Next.js (\`next start\`), ws | nothing |
| WebSockets of ws, socket.io, and of any code that answers \`upgrade\` of Node's HTTP servers with a 101 | they are told close 1012. A WebSocket server on bare \`net\`, without Node's HTTP parser, is not recognised: its connections end by themselves, or after \`--grace\` |
| Next.js's dev server with \`--no-overlap\` | nothing: requests wait while it starts |
| npm, npx, tsx, nodemon, \`node --watch\`, \`sh -c\`, a Python wrapper that closes descriptors | nothing |
| gunicorn (threads), nginx (\`--stop-signal SIGQUIT\`) | nothing on new connections |
| uvicorn, puma | nothing refused or left hanging; now and then they drop a connection that they have accepted and not read yet when they are asked to end (Kludex/uvicorn#2757) |
| UDP (dgram) | datagrams wait in the socket |
| systemd-socket-activate | hold and, without hold, the preload serve on its socket |

## What it does not do

- redis takes no socket from anybody, so hold cannot run it; a program that binds the port itself, and is not Node, gets EADDRINUSE. nginx takes one by a variable of its own, and drops nothing at SIGQUIT: \`rebind hold 3000 --stop-signal SIGQUIT -- env 'NGINX=3;' nginx -g 'daemon off;'\`.
- hold stops a program that puts itself into the background, because it could no longer supervise it.
- After Ctrl-Z and \`bg\`, a program that reads the keyboard takes keys from the shell: it has a session of its own, so the kernel does not stop it. Hold that is started with \`&\` gives it no keyboard.
- A program that listens first and then refuses to run twice (Next.js's dev server) exits soon after it was ready: give it \`--no-overlap\`.
- In another network namespace than hold's (\`unshare -n\`), a program cannot reach hold. It serves, but hold stops it with SIGTERM and cannot ask it to drain first.
- Linux only, for now.
`;

export function holdPage(root: string): string {
  return `${page}\n${benchTable(root, 'hold', 'restarts')}${afterTable}`;
}
