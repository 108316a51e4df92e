/**
 * What a running recorder does for `status`, `mark` and `stop`: it listens on a socket of its own, and a file in the journal's folder
 * tells where.
 *
 * No client holds up a tick. A reply is made only when it is asked for, and costs as much as there are devices. A request is short and
 * comes within ten seconds. A client that does not read its reply is dropped. There are at most sixteen at a time.
 *
 * Without a socket the recording goes on, with a warning, and a socket is tried for again each minute.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import {
  type Address,
  type Ended,
  LONGEST_MARK,
  LONGEST_REQUEST,
  type Reply,
  Request,
  VERSION
} from "./controlProtocol.ts"
import * as ControlSocket from "./controlSocket.ts"
import type { RunError } from "./errors.ts"

/** What may be asked of a recording. */
export interface Controlled {
  readonly status: () => Extract<Reply, { readonly reply: "status" }>
  /** Marks this moment, and gives its time as text. */
  readonly mark: (text: string) => Effect.Effect<string>
  /** Whether it has begun, and is not ending. */
  readonly takesMarks: () => boolean
  readonly stop: Effect.Effect<unknown>
}

export interface Control {
  /** Tells in the journal's folder where the recorder listens, while the scope is open. */
  readonly announce: (folder: string) => Effect.Effect<void, never, Scope.Scope>
  /** Tells who asked it to stop how the recording ended. */
  readonly ended: (outcome: Ended) => Effect.Effect<void>
}

const MOST_CLIENTS = 16
const PATIENCE = "10 seconds"
const LAST_PATIENCE = "1 second"
const LOOK_INTERVAL = "1 minute"

class Refusal extends Schema.TaggedError<Refusal>()("Refusal", { why: Schema.String }) {}

/** Listens while the scope is open. */
export const open = Effect.fnUntraced(function*(recording: Controlled): Effect.fn.Return<Control, never, Scope.Scope> {
  const serve = yield* FiberSet.makeRuntime()
  /** Clients that wait for the end. Their connections close with the process, because only then are its ports and files free. */
  const waiting = new Set<net.Socket>()
  let hasEnded = false
  let socket: string | null = null
  let folder: string | null = null

  const server = net.createServer({ allowHalfOpen: true }, (client) => {
    client.on("error", () => {})
    client.on("close", () => waiting.delete(client))
    serve(converse(client))
  })
  server.maxConnections = MOST_CLIENTS
  // Without a file descriptor left, none can be served.
  server.on("error", () => {})

  const converse = (client: net.Socket) =>
    requestOf(client).pipe(
      Effect.timeoutOrElse({
        duration: PATIENCE,
        orElse: () => Effect.fail(new Refusal({ why: "no request came within ten seconds" }))
      }),
      Effect.flatMap((request) => answer(request, client)),
      Effect.catchTag("Refusal", ({ why }) => Effect.succeed<Reply>({ reply: "refused", why })),
      Effect.flatMap((reply) => send(client, reply, PATIENCE)),
      Effect.ensuring(Effect.sync(() => {
        if (!waiting.has(client)) client.destroy()
      }))
    )

  const answer = Effect.fnUntraced(function*(request: Request, client: net.Socket): Effect.fn.Return<Reply, Refusal> {
    switch (request.ask) {
      case "status":
        return recording.status()
      case "mark": {
        const text = request.text.trim()
        if (text === "" || text.length > LONGEST_MARK || /\p{Cc}/u.test(text)) {
          return yield* new Refusal({ why: `a mark is one line of 1 to ${LONGEST_MARK} characters` })
        }
        if (!recording.takesMarks()) {
          return yield* new Refusal({ why: "there is nothing to mark: the recording has not begun, or is ending" })
        }
        return { reply: "marked", at: yield* recording.mark(text) }
      }
      case "stop":
        if (hasEnded) return yield* new Refusal({ why: "the recording has ended" })
        waiting.add(client)
        yield* recording.stop
        return { reply: "ending" }
    }
  })

  const tell = Effect.suspend(() => socket === null || folder === null ? Effect.void : writeAddress(folder, socket))
    .pipe(Effect.catch(unreachable))

  const listening = Effect.gen(function*() {
    socket = yield* ControlSocket.listen(server)
    yield* tell
    yield* untilGone(socket)
  }).pipe(Effect.scoped)
  const listeningLater = Effect.retry(Effect.delay(listening, LOOK_INTERVAL), Schedule.forever)
  yield* listening.pipe(
    Effect.catch((error) => Effect.andThen(unreachable(error), listeningLater)),
    Effect.forever,
    Effect.forkScoped
  )

  return {
    announce: (journal) =>
      Effect.acquireRelease(
        Effect.suspend(() => {
          folder = journal
          return tell
        }),
        () =>
          Effect.ignore(ControlSocket.attempt(() => {
            folder = null
            fs.rmSync(ControlSocket.addressFile(journal), { force: true })
          }))
      ),
    ended: (ended) =>
      Effect.suspend(() => {
        hasEnded = true
        return Effect.forEach(waiting, (client) => send(client, ended, LAST_PATIENCE), {
          concurrency: "unbounded",
          discard: true
        })
      })
  }
})

const unreachable = ({ message }: RunError) =>
  Effect.logWarning(`\`sampleline status\`, \`mark\` and \`stop\` cannot reach this recording: ${message}`)

/** The first line that a client sends. */
const requestOf = (client: net.Socket): Effect.Effect<Request, Refusal> =>
  Effect.callback<string, Refusal>((resume) => {
    const refuse = (why: string) => resume(Effect.fail(new Refusal({ why })))
    let line = ""
    client.setEncoding("utf8").on("data", (chunk: string) => {
      const end = chunk.indexOf("\n")
      line += end < 0 ? chunk : chunk.slice(0, end + 1)
      if (line.length > LONGEST_REQUEST) refuse(`a request is at most ${LONGEST_REQUEST} characters long`)
      else if (end >= 0) resume(Effect.succeed(line))
      else return
      client.pause().removeAllListeners("data")
    })
    client.on("end", () => refuse("a request is a whole line"))
  }).pipe(
    Effect.flatMap(Schema.decodeEffect(Schema.fromJsonString(Request))),
    Effect.catchTag(
      "SchemaError",
      () => Effect.fail(new Refusal({ why: `it is no request of version ${VERSION}, which this recorder speaks` }))
    )
  )

/** Returns when the system has taken the reply, or nobody reads it. */
const send = (client: net.Socket, reply: Reply, patience: typeof PATIENCE | typeof LAST_PATIENCE) =>
  Effect.callback<void>((resume) => {
    client.write(`${JSON.stringify(reply)}\n`, () => resume(Effect.void))
  }).pipe(Effect.timeoutOption(patience))

/**
 * Returns when the socket's name is gone. Sessions that end and the cleaning of temporary folders remove it; the latter leaves what
 * was touched lately.
 */
const untilGone = (socket: string): Effect.Effect<void> =>
  process.platform === "win32"
    ? Effect.never
    : Effect.sleep(LOOK_INTERVAL).pipe(
      Effect.andThen(Clock.currentTimeMillis),
      Effect.flatMap((now) => Effect.tryPromise(() => fs.promises.utimes(socket, now / 1000, now / 1000))),
      Effect.forever,
      Effect.ignore
    )

/** Whole or not at all. */
const writeAddress = (folder: string, socket: string): Effect.Effect<void, RunError> =>
  ControlSocket.attempt(() => {
    const address: Address = { version: VERSION, pid: process.pid, host: os.hostname(), socket }
    const file = ControlSocket.addressFile(folder)
    fs.writeFileSync(`${file}.new`, JSON.stringify(address))
    fs.renameSync(`${file}.new`, file)
  })
