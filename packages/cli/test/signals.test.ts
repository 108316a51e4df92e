import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as net from "node:net"
import { DatabaseSync } from "node:sqlite"
import { SimulatedDevice } from "../../alicat/src/simulator/SimulatedDevice.ts"
import { readWithDuckDb } from "../../sinks/test/duckdb.ts"
import { sampleline, startSampleline, startSimulator, tempFolder } from "./process.ts"
import { startOnTerminal } from "./pty.ts"
import { fileGrowsBeyond, linesOf, rowsOf } from "./recordings.ts"

/** A device on TCP that sends this text without end after some polls. */
const floodingPort = Effect.fnUntraced(function*(text: string) {
  const device = new SimulatedDevice()
  const flood = Buffer.alloc(65_536, text)
  const server = yield* Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer((socket) => {
        const pump = () => {
          socket.write(flood, (error) => error ?? setImmediate(pump))
        }
        socket.on("error", () => {})
        socket.on("data", (chunk) => {
          for (const command of chunk.toString().split("\r").slice(0, -1)) {
            const reply = device.respond(command, 0).join("\r")
            if (reply !== "") socket.write(`${reply}\r`)
          }
          if (device.readings > 30 && socket.listenerCount("data") > 0) {
            socket.removeAllListeners("data").resume()
            pump()
          }
        })
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )
  return `tcp://127.0.0.1:${(server.address() as net.AddressInfo).port}`
})

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("a signal", (it) => {
  it.effect.each(
    [
      { signal: "SIGINT", args: [], code: 0 },
      { signal: "SIGINT", args: ["--duration", "60s"], code: 130 },
      { signal: "SIGTERM", args: [], code: 143 }
    ] as const
  )(
    "$signal $args leaves complete files, a summary and the exit code $code",
    ({ args, code, signal }) =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        const running = yield* startSampleline(
          [
            ..."record --simulate 2 --rate 50 --flush-interval 200ms --out a.csv --out a.jsonl --row-ids --json".split(
              " "
            ),
            ...args
          ],
          { cwd }
        )
        yield* fileGrowsBeyond(`${cwd}/a.csv`, 0)
        running.process.kill(signal)
        assert.strictEqual(yield* running.exit, code)
        const { samplesEmitted } = JSON.parse(running.stdout())
        const sequences = rowsOf(`${cwd}/a.csv`).map((row) => Number(row["sequence"]))
        assert.isAbove(samplesEmitted, 0)
        assert.deepStrictEqual(sequences, Array.from({ length: samplesEmitted }, (_, n) => n))
        assert.deepStrictEqual(
          linesOf(fs.readFileSync(`${cwd}/a.jsonl`, "utf8")).map((row) => row["sequence"]),
          sequences
        )
      })
  )

  it.effect.each(["\r", "A\r", " +014.62 +021.89 +000.00 +000.00 +078.95     N2\r"])(
    "SIGINT ends a run, and memory is bounded, while a peer sends %j without end",
    (text) =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        const port = yield* floodingPort(text)
        const running = yield* startSampleline(
          ["record", "--device", `fuel=${port}`, "--rate", "20", "--out", "a.csv", "--json"],
          { cwd }
        )
        yield* running.printed("further failures are only counted")
        yield* Effect.sleep("3 seconds")
        const resident = Number(
          /VmRSS:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${running.process.pid}/status`, "utf8"))?.[1]
        )
        assert.isBelow(resident, 500_000)
        running.process.kill("SIGINT")
        assert.strictEqual(yield* running.exit, 0, running.stderr())
        assert.strictEqual(rowsOf(`${cwd}/a.csv`).length, JSON.parse(running.stdout()).samplesEmitted)
      })
  )

  it.effect("SIGHUP on a terminal leaves complete files, a summary and the exit code 129", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const running = yield* startOnTerminal(
        "record --simulate 2 --rate 50 --flush-interval 200ms --out a.csv --row-ids --duration 60s".split(" "),
        cwd
      )
      yield* fileGrowsBeyond(`${cwd}/a.csv`, 0)
      running.kill("SIGHUP")
      assert.strictEqual(yield* running.exit, 129)
      const recorded = Number(/recorded ([\d,]+) samples in/.exec(running.text().replaceAll(",", ""))?.[1])
      assert.isAbove(recorded, 0)
      assert.strictEqual(rowsOf(`${cwd}/a.csv`).length, recorded)
      assert.include(running.text(), "INFO ended by SIGHUP")
    }))

  it.effect("SIGHUP without a terminal is logged and ignored", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const running = yield* startSampleline(
        "record --simulate 1 --rate 50 --flush-interval 100ms --duration 1s --out a.csv".split(" "),
        { cwd }
      )
      yield* fileGrowsBeyond(`${cwd}/a.csv`, 0)
      running.process.kill("SIGHUP")
      assert.strictEqual(yield* running.exit, 0)
      assert.include(running.stderr(), "SIGHUP is ignored, because there is no terminal; the command goes on")
      assert.include(running.stderr(), "INFO ended: the duration is over")
      const [, recorded] = /^recorded (\d+) samples/m.exec(running.stdout()) ?? []
      assert.strictEqual(rowsOf(`${cwd}/a.csv`).length, Number(recorded))
    }))

  it.effect.each(
    [
      { signal: "SIGINT", code: 0 },
      { signal: "SIGTERM", code: 143 }
    ] as const
  )("$signal leaves every output complete", ({ code, signal }) =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const running = yield* startSampleline(
        "record --simulate 2 --rate 50 --flush-interval 100ms --json --out a.csv --out a.db --out a.parquet".split(" "),
        { cwd }
      )
      yield* fileGrowsBeyond(`${cwd}/a.csv`, 5000)
      running.process.kill(signal)
      assert.strictEqual(yield* running.exit, code)
      const { samplesEmitted } = JSON.parse(running.stdout())
      assert.strictEqual(fs.readFileSync(`${cwd}/a.csv`, "utf8").trimEnd().split("\n").length - 1, samplesEmitted)
      const rows = yield* readWithDuckDb(`'${cwd}/a.parquet'`, [{
        name: "requested_at",
        type: "timestamp",
        nullable: true
      }])
      const db = new DatabaseSync(`${cwd}/a.db`)
      const inSqlite = db.prepare("SELECT requested_at FROM samples ORDER BY rowid").all().map((row) => ({ ...row }))
      db.close()
      assert.strictEqual(rows.length, samplesEmitted)
      assert.deepStrictEqual(inSqlite, rows)
      assert.isFalse(fs.existsSync(`${cwd}/a.parquet.partial`))
    }))

  it.effect.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "%s makes record --stream stop the device",
    (signal) =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        const { devices: [fuel] } = yield* startSimulator(cwd, "--devices", "1")
        const running = yield* startOnTerminal(["record", "--stream", "--device", fuel!.flag, "--out", "-"], cwd)
        yield* running.printed(/Mass_Flow/)
        running.kill(signal)
        yield* running.exit
        // discover sends nothing to a port where a device streams. So a device that is found does not stream.
        const { code, stdout } = yield* sampleline(["discover", fuel!.port, "--units", "A"], { cwd })
        assert.strictEqual(code, 0)
        assert.include(stdout, "serial number 100001")
      })
  )
})
