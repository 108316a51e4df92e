/**
 * `sampleline status`, `mark` and `stop`, with recorders that run, were killed or have ended.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as net from "node:net"
import { sampleline, startSampleline, startSimulator, tempFolder } from "./process.ts"
import { startOnTerminal } from "./pty.ts"
import { eventually, fileGrowsBeyond, linesOf, rowsOf } from "./recordings.ts"

const bytesIn = (folder: string) =>
  fs.readdirSync(folder).toSorted().map((name) => [name, fs.readFileSync(`${folder}/${name}`).toString("base64")])

/** Connects so many times at once, says this each time, and never reads. The scope closes the connections. */
const attack = (socket: string, times: number, text: string) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      Array.from({ length: times }, () => {
        const connection = net.connect(socket, () => connection.write(text))
        return connection.on("error", () => {})
      })
    ),
    (connections) => Effect.sync(() => connections.forEach((connection) => connection.destroy()))
  )

const ESCAPE = "\u001b"

const SECRET = "postgres://me:s3cret@127.0.0.1:1/lab"

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("a recorder", (it) => {
  it.effect("is asked, watched, marked and stopped, and hostile clients cost it no tick", () =>
    Effect.gen(function*() {
      // Longer than the path of a socket may be.
      const cwd = `${yield* tempFolder}/${"long".repeat(30)}`
      fs.mkdirSync(cwd)
      const run = (...args: ReadonlyArray<string>) => sampleline(args, { cwd })
      const { devices: [fuel] } = yield* startSimulator(cwd, "--devices", "1")
      const recorder = yield* startSampleline(
        [
          "record",
          "--device",
          fuel!.flag,
          "--rate",
          "4",
          "--flush-interval",
          "100ms",
          "--out",
          "run.csv",
          "--out",
          "run.db"
        ],
        { cwd }
      )
      yield* fileGrowsBeyond(`${cwd}/run.csv`, 300)
      const { socket } = JSON.parse(fs.readFileSync(`${cwd}/run.csv.journal/owner.control`, "utf8"))
      const before = JSON.parse((yield* run("status", "--json")).stdout)
      assert.deepInclude(before, {
        state: "live",
        journal: "run.csv.journal",
        pid: recorder.process.pid,
        phase: "recording"
      })
      assert.isAtLeast(before.samples, 2)

      const late = yield* Effect.scoped(Effect.gen(function*() {
        yield* attack(socket, 20, `${"x".repeat(100_000)}\n`)
        yield* attack(socket, 20, "{\"version\":1,\"ask\":\"status\"}\n")
        yield* attack(socket, 5, "garbage\n")
        yield* attack(socket, 5, "half a li")
        const size = fs.statSync(`${cwd}/run.csv`).size
        yield* fileGrowsBeyond(`${cwd}/run.csv`, size + 500)
        const { code, stdout } = yield* run("status", "run.csv.journal", "--json")
        assert.strictEqual(code, 0, stdout)
        return JSON.parse(stdout).lateTicks
      }))
      assert.strictEqual(late, before.lateTicks)

      const text = yield* run("status")
      assert.strictEqual(text.code, 0)
      assert.match(text.stdout, /^run\.csv\.journal: live: process \d+ on \S+\n {2}since [\d-]+ [\d:]+ UTC, /)
      assert.match(text.stdout, /^ {2}sim1 {2}ok {7}\d\.\d s ago, .*Mass_Flow [\d.]+ SCCM/m)
      assert.match(text.stdout, /^ {2}run\.db: \d+ rows/m)

      const marked = yield* run("mark", "valve opened")
      const [, at] = /^marked "valve opened" at (\S+Z)\n$/.exec(marked.stdout) ?? assert.fail(marked.stdout)
      const mark = () =>
        linesOf(fs.readFileSync(`${cwd}/run.csv-events.jsonl`, "utf8")).find((line) => line["event"] === "Marker")
      yield* eventually(() => mark() !== undefined)
      assert.deepInclude(mark(), { at, detail: "valve opened" })

      const watch = yield* startSampleline(["status", "--watch", "--json"], { cwd })
      yield* eventually(() => watch.stdout().split("\n").length > 2)
      const [first, second] = linesOf(watch.stdout())
      assert.isAbove(Number(second!["seconds"]), Number(first!["seconds"]))
      watch.process.kill("SIGKILL")
      const screen = yield* startOnTerminal(["status", "--watch"], cwd)
      // Up by as many lines as were printed.
      yield* screen.printed(new RegExp(`live: process[^]*journal: [\\d.]+ MB\r\n${ESCAPE}\\[7F${ESCAPE}\\[J`))
      screen.kill("SIGKILL")

      const stopped = yield* run("stop")
      assert.strictEqual(stopped.code, 0, stopped.stderr)
      assert.strictEqual(yield* recorder.exit, 0)
      assert.strictEqual(stopped.stdout, recorder.stdout())
      assert.include(recorder.stderr(), "INFO ended by sampleline stop")
      assert.include(stopped.stdout, `recorded ${rowsOf(`${cwd}/run.csv`).length} samples`)

      fs.mkdirSync(`${cwd}/notes.journal`)
      fs.writeFileSync(`${cwd}/notes.journal/today.txt`, "")
      assert.deepInclude(yield* run("status", "run.csv.journal"), {
        code: 3,
        stdout:
          "run.csv.journal: finished: there is no journal, because every output has everything, or nothing was recorded under this name\n"
      })
      assert.deepInclude(yield* run("status", "notes.journal"), {
        code: 1,
        stdout: "notes.journal: foreign: it is no journal, or nothing was recorded in it\n"
      })
      const refused = yield* run("stop", "run.csv.journal")
      assert.strictEqual(refused.code, 1)
      assert.include(refused.stderr, "sampleline: run.csv.journal: finished: there is no journal")
    }))

  it.effect("goes on ending without the stop that asked for it; its secrets are in no reply; killed, it is told as killed", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const run = (...args: ReadonlyArray<string>) => sampleline(["status", ...args], { cwd })
      const recorder = yield* startSampleline(
        [
          ..."record --simulate 1 --rate 20 --flush-interval 100ms --duration 60s --allow-missing --out a.csv --out"
            .split(" "),
          SECRET
        ],
        { cwd }
      )
      yield* fileGrowsBeyond(`${cwd}/a.csv`, 1000)
      fs.mkdirSync(`${cwd}/b.journal`)
      const live = yield* run()
      assert.match(live.stdout, /^ {2}127\.0\.0\.1:1\/lab\S*: 0 rows, [\d,]+ behind, waiting, /m)

      const stop = yield* startSampleline(["stop"], { cwd })
      yield* stop.printed("is ending")
      const ending = yield* run("a.csv.journal", "--json")
      stop.process.kill("SIGINT")
      assert.strictEqual(yield* stop.exit, 130)
      assert.include(stop.stderr(), "the recording goes on ending")
      assert.strictEqual(JSON.parse(ending.stdout).phase, "ending")

      recorder.process.kill("SIGKILL")
      yield* recorder.exit
      const before = bytesIn(`${cwd}/a.csv.journal`)
      const killed = yield* run("a.csv.journal")
      assert.strictEqual(killed.code, 4)
      // The journal learns within a second what a file has.
      assert.match(
        killed.stdout,
        /^a\.csv\.journal: killed: its recorder, process \d+ on \S+, is gone; .*127\.0\.0\.1:1\/lab\S* lacks \d+ samples and events(?:, a\.csv lacks \d+ samples and events)?; run `sampleline resume a\.csv\.journal`\n$/
      )
      const json = JSON.parse((yield* run("a.csv.journal", "--json")).stdout)
      assert.strictEqual(json.state, "killed")
      assert.deepStrictEqual(bytesIn(`${cwd}/a.csv.journal`), before)
      const several = yield* run()
      assert.strictEqual(several.code, 2)
      assert.include(several.stderr, "give one of them: a.csv.journal (killed), b.journal (foreign)")
      for (const { stderr, stdout } of [live, ending, killed, several]) assert.notInclude(stdout + stderr, "s3cret")
      assert.notInclude(stop.stdout() + stop.stderr() + JSON.stringify(json), "s3cret")
    }))

  it.effect("whose duration is cut short by stop exits with 130, as by Ctrl-C, and stop with 0", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const recorder = yield* startSampleline(
        "record --simulate 1 --rate 50 --flush-interval 100ms --duration 60s --json --out a.csv".split(" "),
        { cwd }
      )
      yield* fileGrowsBeyond(`${cwd}/a.csv`, 300)
      const stopped = yield* sampleline(["stop", "a.csv.journal", "--json"], { cwd })
      assert.strictEqual(stopped.code, 0, stopped.stderr)
      assert.strictEqual(yield* recorder.exit, 130)
      assert.strictEqual(stopped.stdout, recorder.stdout())
      assert.strictEqual(JSON.parse(stopped.stdout).samplesEmitted, rowsOf(`${cwd}/a.csv`).length)
      const end = linesOf(fs.readFileSync(`${cwd}/a.csv-events.jsonl`, "utf8")).at(-1)
      assert.deepInclude(end, { event: "RunEnded", reason: "stopped", detail: "sampleline stop" })
    }))
})
