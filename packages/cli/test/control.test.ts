/**
 * The control socket of a recorder, without a recorder: hostile clients, and places where there can be no socket.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Logger, Option } from "effect"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import { OwnerLock } from "../../sqlite/src/index.ts"
import * as Control from "../src/control.ts"
import { addressIn, ask } from "../src/controlClient.ts"
import { type Address, LONGEST_REQUEST, type Status, VERSION } from "../src/controlProtocol.ts"
import * as ControlSocket from "../src/controlSocket.ts"
import { chooseLive, stateOf } from "../src/journalState.ts"
import { tempFolder } from "./process.ts"

const STATUS: Status = {
  reply: "status",
  state: "recording",
  runId: null,
  startedAt: "2026-03-01T12:00:00.000000Z",
  at: "2026-03-01T12:00:01.000000Z",
  seconds: 1,
  ticks: 0,
  samples: 0,
  lateTicks: 0,
  failures: 0,
  devices: [],
  outputs: [],
  alarms: []
}

/** The variables of the environment for a while. */
const withEnv = (values: { readonly [name: string]: string | undefined }) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = Object.keys(values).map((name) => [name, process.env[name]] as const)
      for (const [name, value] of Object.entries(values)) setEnv(name, value)
      return before
    }),
    (before) => Effect.sync(() => before.forEach(([name, value]) => setEnv(name, value)))
  )

const setEnv = (name: string, value: string | undefined) => {
  if (value === undefined) delete process.env[name]
  else process.env[name] = value
}

/** A short folder: the sockets are in one in it. */
const ownTemp = Effect.gen(function*() {
  const folder = yield* tempFolder
  yield* withEnv({ XDG_RUNTIME_DIR: undefined, TMPDIR: folder })
  return folder
})

const socketsIn = (temp: string) => `${temp}/sampleline-${process.getuid!()}`

/** A socket as a kill leaves it: a name to which nobody listens. */
const killedSocket = Effect.fnUntraced(function*(folder: string) {
  const killed = net.createServer()
  yield* Effect.callback<void>((resume) => void killed.listen(`${folder}/first.sock`, () => resume(Effect.void)))
  fs.linkSync(`${folder}/first.sock`, `${folder}/killed.sock`)
  yield* Effect.callback<void>((resume) => void killed.close(() => resume(Effect.void)))
  return `${folder}/killed.sock`
})

/** A control socket that is announced in a journal's folder. */
const openControl = Effect.fnUntraced(function*(status: () => Status = () => STATUS) {
  const journal = yield* tempFolder
  const marks: Array<string> = []
  const control = yield* Control.open({
    status,
    mark: (text) => {
      marks.push(text)
      return Effect.succeed("2026-03-01T12:00:02.000000Z")
    },
    takesMarks: () => true,
    stop: Effect.void
  })
  yield* control.announce(journal)
  while (addressIn(journal) === null) yield* Effect.yieldNow
  return { control, journal, marks, address: addressIn(journal)! }
})

/** A client that sends a text, and what it got when the connection is closed. */
const client = Effect.fnUntraced(function*({ socket }: Address, text: string, { ends = false, reads = true } = {}) {
  let got = ""
  let isConnected = false
  const connection = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const connection = net.connect({ path: socket, allowHalfOpen: true })
      connection.on("error", () => {})
      connection.on("connect", () => {
        isConnected = true
        connection.write(text)
        if (ends) connection.end()
      })
      if (reads) connection.on("data", (chunk) => got += chunk.toString())
      connection.on("end", () => connection.end())
      return connection
    }),
    (connection) => Effect.sync(() => connection.destroy())
  )
  const isClosed = () => connection.destroyed
  return {
    isConnected: () => isConnected,
    isClosed,
    write: (text: string) => connection.write(text),
    got: Effect.map(Effect.suspend(() => until(isClosed)), () => got)
  }
})

const until = (condition: () => boolean) =>
  Effect.callback<void>((resume) => {
    const look = () => condition() ? resume(Effect.void) : void setImmediate(look)
    look()
  })

it.layer(NodeServices.layer)("a control socket", (it) => {
  it.effect.each(
    [
      ["a line that is too long", "x".repeat(LONGEST_REQUEST + 1), "at most 65536 characters"],
      ["garbage", "\u0000\u00ff{{{\n", "no request of version 1"],
      ["another version", "{\"version\":2,\"ask\":\"status\"}\n", "no request of version 1"],
      ["an unknown question", "{\"version\":1,\"ask\":\"rm -rf\"}\n", "no request of version 1"],
      ["an empty mark", "{\"version\":1,\"ask\":\"mark\",\"text\":\" \"}\n", "one line of 1 to 500 characters"],
      ["a mark with escapes", "{\"version\":1,\"ask\":\"mark\",\"text\":\"\\u001b[2J\"}\n", "one line of 1 to 500"],
      ["a mark that is too long", `{"version":1,"ask":"mark","text":"${"x".repeat(501)}"}\n`, "one line of 1 to 500"]
    ] as const
  )("refuses %s, and goes on", ([, text, why]) =>
    Effect.gen(function*() {
      yield* ownTemp
      const { address, marks } = yield* openControl()
      const hostile = yield* client(address, text)
      const [line, ...rest] = (yield* hostile.got).split("\n")
      assert.deepStrictEqual(rest, [""])
      assert.include(JSON.parse(line!).why, why)
      assert.deepStrictEqual(marks, [])
      assert.strictEqual((yield* ask(address, { version: VERSION, ask: "status" }, "status")).reply, "status")
    }))

  it.effect("drops half a line: at once when its client has no more, else after ten seconds", () =>
    Effect.gen(function*() {
      yield* ownTemp
      const { address } = yield* openControl()
      const ended = yield* client(address, "{\"version\":1,", { ends: true })
      assert.include(yield* ended.got, "a whole line")
      const silent = yield* client(address, "{\"version\":1,")
      yield* until(silent.isConnected)
      // Connections are taken in order.
      yield* ask(address, { version: VERSION, ask: "status" }, "status")
      yield* TestClock.adjust("10 seconds")
      assert.include(yield* silent.got, "no request came within ten seconds")
    }))

  it.effect("serves sixteen clients at a time, and others when those have gone", () =>
    Effect.gen(function*() {
      yield* ownTemp
      const { address } = yield* openControl()
      const clients = yield* Effect.forEach(Array.from({ length: 50 }), () => client(address, "{"))
      const closed = () => clients.filter(({ isClosed }) => isClosed()).length
      yield* until(() => closed() === 34)
      yield* TestClock.adjust("10 seconds")
      yield* until(() => closed() === 50)
      assert.strictEqual((yield* ask(address, { version: VERSION, ask: "status" }, "status")).reply, "status")
    }))

  it.effect("drops a client that does not read its reply", () =>
    Effect.gen(function*() {
      yield* ownTemp
      const large = { ...STATUS, runId: "x".repeat(10_000_000) }
      let asked = 0
      const { address } = yield* openControl(() => {
        asked++
        return large
      })
      const stalled = yield* client(address, `{"version":1,"ask":"status"}\n`, { reads: false })
      yield* until(() => asked === 1)
      yield* TestClock.adjust("10 seconds")
      // It learns of it when it writes.
      yield* until(() => {
        stalled.write("x")
        return stalled.isClosed()
      })
    }))

  it.effect("keeps who asked for the end until it is told", () =>
    Effect.gen(function*() {
      yield* ownTemp
      const { address, control } = yield* openControl()
      const waiting = yield* client(address, "{\"version\":1,\"ask\":\"stop\"}\n", { ends: true })
      yield* until(waiting.isConnected)
      const other = yield* client(address, "{\"version\":1,\"ask\":\"stop\"}\n")
      assert.strictEqual((yield* ask(address, { version: VERSION, ask: "status" }, "status")).reply, "status")
      yield* control.ended({ reply: "ended", failure: null, text: "done", summary: "{}" })
      const refused = yield* client(address, "{\"version\":1,\"ask\":\"stop\"}\n")
      assert.include(yield* refused.got, "has ended")
      assert.isTrue(other.isConnected())
    }))

  it.effect("is in a folder that only its user can open, and is told in the journal while it is open", () =>
    Effect.gen(function*() {
      const temp = yield* ownTemp
      const folder = socketsIn(temp)
      const journal = yield* Effect.scoped(Effect.gen(function*() {
        const { address, journal } = yield* openControl()
        assert.strictEqual(fs.statSync(folder).mode & 0o777, 0o700)
        assert.strictEqual(fs.statSync(address.socket).mode & 0o777, 0o600)
        assert.strictEqual(address.pid, process.pid)
        assert.deepStrictEqual(fs.readdirSync(journal), ["owner.control"])
        return journal
      }))
      assert.isFalse(fs.existsSync(journal))
      assert.deepStrictEqual(fs.readdirSync(folder), [])
    }))

  it.effect("comes back when a cleaner of temporary files has removed it", () =>
    Effect.gen(function*() {
      const temp = yield* ownTemp
      const { address, journal } = yield* openControl()
      fs.rmSync(socketsIn(temp), { recursive: true })
      yield* TestClock.adjust("1 minute")
      yield* until(() => addressIn(journal)!.socket !== address.socket)
      const again = yield* ask(addressIn(journal)!, { version: VERSION, ask: "status" }, "status")
      assert.strictEqual(again.reply, "status")
    }))

  it.effect("comes back in the other place when the runtime folder itself is removed", () =>
    Effect.gen(function*() {
      const temp = yield* ownTemp
      const runtime = `${temp}/runtime`
      fs.mkdirSync(runtime)
      yield* withEnv({ XDG_RUNTIME_DIR: runtime })
      const { address, journal } = yield* openControl()
      assert.include(address.socket, `${runtime}/sampleline/`)
      fs.rmSync(runtime, { recursive: true })
      yield* TestClock.adjust("1 minute")
      yield* until(() => addressIn(journal)!.socket !== address.socket)
      const { socket } = addressIn(journal)!
      assert.include(socket, `${socketsIn(temp)}/`)
      assert.strictEqual(
        (yield* ask(addressIn(journal)!, { version: VERSION, ask: "status" }, "status")).reply,
        "status"
      )
    }))

  it.effect("comes back when the other place is in order again, with one warning meanwhile", () =>
    Effect.gen(function*() {
      const temp = yield* ownTemp
      const warnings: Array<string> = []
      const logger = Logger.make(({ message }) => void warnings.push(String(message)))
      const { address, journal } = yield* Effect.provide(openControl(), Logger.layer([logger]))
      fs.rmSync(socketsIn(temp), { recursive: true })
      fs.writeFileSync(socketsIn(temp), "")
      yield* TestClock.adjust("1 minute")
      yield* until(() => warnings.length > 0)
      yield* TestClock.adjust("1 minute")
      fs.rmSync(socketsIn(temp))
      const nextTurn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
      yield* Effect.repeat(Effect.andThen(TestClock.adjust("1 minute"), nextTurn), {
        until: () => addressIn(journal)!.socket !== address.socket
      })
      assert.strictEqual(
        (yield* ask(addressIn(journal)!, { version: VERSION, ask: "status" }, "status")).reply,
        "status"
      )
      assert.match(warnings.join("\n"), /^.*is not a folder of your own; remove it$/)
    }))

  it.effect("of a killed recorder is removed by the next one, and that of a live one and other files stay", () =>
    Effect.gen(function*() {
      const temp = yield* ownTemp
      const { address } = yield* openControl()
      const folder = socketsIn(temp)
      fs.writeFileSync(`${folder}/file.sock`, "")
      const killed = yield* killedSocket(folder)
      const next = yield* openControl()
      yield* until(() => !fs.existsSync(killed))
      assert.deepStrictEqual(
        fs.readdirSync(folder).toSorted().map((name) => `${folder}/${name}`),
        [`${folder}/file.sock`, address.socket, next.address.socket].toSorted()
      )
    }))

  it.effect("of a killed recorder may be removed by several at once", () =>
    Effect.gen(function*() {
      const temp = yield* ownTemp
      yield* openControl()
      const killed = yield* killedSocket(socketsIn(temp))
      yield* Effect.all([openControl(), openControl(), openControl()], { concurrency: "unbounded" })
      yield* until(() => !fs.existsSync(killed))
      // What the others heard of it comes now.
      const reply = yield* ask((yield* openControl()).address, { version: VERSION, ask: "status" }, "status")
      assert.strictEqual(reply.reply, "status")
    }))

  it.effect("uses another place if the path of the runtime folder is too long, or it is another user's", () =>
    Effect.gen(function*() {
      const temp = yield* ownTemp
      const long = `${temp}/${"x".repeat(100)}`
      fs.mkdirSync(long)
      const foreign = `${temp}/foreign`
      if (process.getuid!() === 0) {
        fs.mkdirSync(foreign)
        fs.chownSync(foreign, 12_345, 12_345)
      } else fs.symlinkSync("/", foreign)
      for (const runtime of [long, foreign, `${temp}/missing`, "relative"]) {
        yield* withEnv({ XDG_RUNTIME_DIR: runtime })
        const { address } = yield* openControl()
        assert.include(address.socket, `${temp}/sampleline-`)
      }
      yield* withEnv({ XDG_RUNTIME_DIR: temp })
      assert.include((yield* openControl()).address.socket, `${temp}/sampleline/`)
      yield* withEnv({ XDG_RUNTIME_DIR: undefined, TMPDIR: long })
      assert.match((yield* openControl()).address.socket, /^\/tmp\/sampleline-\d+\//)
    }).pipe(Effect.scoped))

  it.effect.each(
    [
      [
        "open to others",
        (folder: string) => fs.mkdirSync(folder, { mode: 0o755 }),
        /is open to other users; run `chmod 700/
      ],
      ["a file", (folder: string) => fs.writeFileSync(folder, ""), /is not a folder of your own/],
      ["a link", (folder: string) => fs.symlinkSync("/root", folder), /is not a folder of your own/],
      ...process.getuid?.() === 0
        ? [
          [
            "another user's",
            (folder: string) => {
              fs.mkdirSync(folder, { mode: 0o700 })
              fs.chownSync(folder, 12_345, 12_345)
            },
            /is not a folder of your own/
          ] as const
        ]
        : []
    ] as const
  )(
    "is not made in a folder that is %s: there is a warning, and the recording goes on",
    ([, make, warning]) =>
      Effect.gen(function*() {
        const temp = yield* ownTemp
        make(socketsIn(temp))
        const lines: Array<string> = []
        const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel} ${String(message)}`))
        const control = yield* Effect.provide(
          Control.open({ status: () => STATUS, mark: Effect.succeed, takesMarks: () => true, stop: Effect.void }),
          Logger.layer([logger])
        )
        yield* control.announce(temp)
        yield* until(() => lines.length > 0)
        assert.match(lines.join("\n"), warning)
        assert.match(lines[0]!, /^Warn `sampleline status`, `mark` and `stop` cannot reach this recording/)
        assert.isNull(addressIn(temp))
      })
  )
})

it.layer(NodeServices.layer)("the state of a journal", (it) => {
  /** A journal's folder whose recorder is somebody else: a server that does this with each connection. */
  const strangeRecorder = Effect.fnUntraced(function*(serve: (socket: net.Socket) => void) {
    const journal = yield* tempFolder
    const socket = `${journal}/s`
    yield* Effect.acquireRelease(
      Effect.callback<net.Server>((resume) => {
        const server = net.createServer((socket) => {
          socket.on("error", () => {})
          serve(socket)
        })
        server.listen(socket, () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    )
    const address: Address = { version: VERSION, pid: 4242, host: os.hostname(), socket }
    fs.writeFileSync(ControlSocket.addressFile(journal), JSON.stringify(address))
    return journal
  })

  it.effect("is held if its recorder lives and does not reply", () =>
    Effect.gen(function*() {
      let asked = false
      const journal = yield* strangeRecorder((socket) => socket.on("data", () => asked = true))
      const found = yield* Effect.forkChild(stateOf(journal))
      yield* until(() => asked)
      yield* TestClock.adjust("5 seconds")
      const { state, ...rest } = yield* Fiber.join(found)
      assert.strictEqual(state, "held")
      assert.include(JSON.stringify(rest), "process 4242 records it, but does not reply")
    }))

  it.effect("is not marked or stopped if its recorder does not reply, but what it was sent is done later", () =>
    Effect.gen(function*() {
      let asked = 0
      const journal = yield* strangeRecorder((socket) => socket.on("data", () => asked++))
      const refusals = yield* Effect.forkChild(Effect.all([
        Effect.flip(chooseLive(Option.some(journal), "marked")),
        Effect.flip(chooseLive(Option.some(journal), "stopped")),
        Effect.flip(ask(addressIn(journal)!, { version: VERSION, ask: "mark", text: "valve" }, "marked"))
      ], { concurrency: "unbounded" }))
      yield* until(() => asked === 3)
      yield* TestClock.adjust("5 seconds")
      const mute = "process 4242 records it, but does not reply; if it is suspended by Ctrl-Z,"
      assert.deepStrictEqual((yield* Fiber.join(refusals)).map(({ message }) => message), [
        `not marked: ${journal}: held: ${mute} run \`kill -CONT 4242\` and ask again`,
        `not stopped: ${journal}: held: ${mute} run \`kill -CONT 4242\` and ask again`,
        `${mute} \`kill -CONT 4242\` lets it go on, and what was asked is done then`
      ])
    }))

  it.effect("is held if its recorder speaks another version", () =>
    Effect.gen(function*() {
      const journal = yield* strangeRecorder((socket) => socket.end("{\"reply\":\"status\",\"version\":9}\n"))
      const found = yield* stateOf(journal)
      assert.strictEqual(found.state, "held")
      assert.include(JSON.stringify(found), "does not speak version 1")
    }))

  it.effect("is held while a process without a socket has its lock, such as resume", () =>
    Effect.gen(function*() {
      const journal = yield* tempFolder
      fs.writeFileSync(`${journal}/journal.db`, "")
      yield* OwnerLock.acquire(`${journal}/owner`)
      const found = yield* stateOf(journal)
      assert.strictEqual(found.state, "held")
      assert.include(JSON.stringify(found), `process ${process.pid} on`)
    }))

  it.effect("is unreadable, foreign or finished, and says so", () =>
    Effect.gen(function*() {
      const folder = yield* tempFolder
      fs.writeFileSync(`${folder}/file.journal`, "")
      fs.mkdirSync(`${folder}/empty.journal`)
      fs.mkdirSync(`${folder}/damaged.journal`)
      fs.writeFileSync(`${folder}/damaged.journal/journal.db`, "x".repeat(5000))
      const states = yield* Effect.forEach(
        ["file", "empty", "damaged", "gone"],
        (name) => Effect.map(stateOf(`${folder}/${name}.journal`), ({ state }) => state)
      )
      assert.deepStrictEqual(states, ["foreign", "foreign", "unreadable", "finished"])
    }))
})
