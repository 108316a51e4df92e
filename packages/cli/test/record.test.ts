import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import * as nodePty from "@lydell/node-pty"
import { openPty } from "@sampleline/alicat/Pty"
import { SimulatedDevice } from "@sampleline/alicat/SimulatedDevice"
import * as Simulator from "@sampleline/alicat/Simulator"
import { parse } from "csv-parse/sync"
import { Effect, Schedule } from "effect"
import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { BIN, sampleline, startSampleline, tempFolder } from "./process.ts"

const rowsOf = (path: string) =>
  parse(fs.readFileSync(path, "utf8"), { columns: true }) as ReadonlyArray<{ readonly [column: string]: string }>

interface JsonSummary {
  readonly ticks: number
  readonly samplesEmitted: number
  readonly samplesLate: number
  readonly failures: { readonly [device: string]: number }
  readonly sinks: ReadonlyArray<{ readonly target: string; readonly rows: number; readonly error: string | null }>
}

/** The summary among the lines on stderr. */
const summaryIn = (stderr: string): JsonSummary =>
  JSON.parse(stderr.split("\n").find((line) => line.startsWith("{")) ?? assert.fail(`no summary in ${stderr}`))

const linesOf = (text: string) =>
  text.split("\n").slice(0, -1).map((line): { readonly [column: string]: unknown } => JSON.parse(line))

/** Returns when the condition holds; looks again and again, for things that tell nobody when they happen. */
const eventually = (condition: () => boolean) =>
  Effect.suspend(() => condition() ? Effect.void : Effect.fail("not yet")).pipe(
    Effect.retry(Schedule.spaced("20 millis"))
  )

it.layer(NodeServices.layer, { excludeTestServices: true })("sampleline record", (it) => {
  it.effect("records two simulated devices into two files, each sample once", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { code, stdout } = yield* sampleline(
        "record --simulate 2 --rate 50 --duration 4s --out a.csv --out a.jsonl --json".split(" "),
        { cwd }
      )
      assert.strictEqual(code, 0)
      const summary: JsonSummary = JSON.parse(stdout)
      // 400 samples, none late: unless the machine stood still meanwhile, which is then counted.
      const { failures, samplesEmitted, samplesLate, ticks } = summary
      assert.deepStrictEqual(Object.keys(failures), ["sim1", "sim2"])
      assert.strictEqual(ticks + samplesLate, 200)
      assert.strictEqual(samplesEmitted + failures["sim1"]! + failures["sim2"]!, 2 * ticks)
      assert.deepStrictEqual(summary.sinks.map((sink) => [sink.target, sink.rows]), [
        ["a.csv", samplesEmitted],
        ["a.jsonl", samplesEmitted]
      ])
      const csv = rowsOf(`${cwd}/a.csv`)
      const jsonl = linesOf(fs.readFileSync(`${cwd}/a.jsonl`, "utf8"))
      assert.strictEqual(csv.length, samplesEmitted)
      assert.deepStrictEqual(
        csv,
        jsonl.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, String(value)])))
      )
      assert.strictEqual(
        Object.keys(csv[0]!).join(),
        "device,unit_id,requested_at,received_at,midpoint_at,latency_s,Abs_Press,Flow_Temp,Volu_Flow,Mass_Flow,Mass_Flow_Setpt,Gas,status"
      )
      assert.isTrue(csv.every((row) => /\.\d{6}Z$/.test(row["requested_at"]!)))
      assert.isTrue(csv.some((row) => !row["requested_at"]!.endsWith("000Z")))
      const times = csv.map((row) => row["requested_at"])
      assert.strictEqual(new Set(times).size, times.length)
    }))

  it.effect.each(
    [
      { signal: "SIGINT", args: [], code: 0 },
      { signal: "SIGINT", args: ["--duration", "60s"], code: 130 },
      { signal: "SIGTERM", args: [], code: 143 },
      { signal: "SIGHUP", args: ["--duration", "60s"], code: 129 }
    ] as const
  )(
    "on $signal $args leaves complete files, prints the summary and exits with $code",
    ({ args, code, signal }) =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        const running = yield* startSampleline(
          [
            "record",
            "--simulate",
            "2",
            "--rate",
            "20",
            "--out",
            "a.csv",
            "--out",
            "a.jsonl",
            "--identity",
            "--json",
            ...args
          ],
          { cwd }
        )
        yield* eventually(() => fs.existsSync(`${cwd}/a.csv`) && fs.statSync(`${cwd}/a.csv`).size > 0)
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

  it.effect("records the same rows into an SQLite table", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { code } = yield* sampleline(
        "record --simulate 2 --rate 50 --duration 500ms --out a.jsonl --out a.db --table flows --identity".split(" "),
        { cwd }
      )
      assert.strictEqual(code, 0)
      const database = new DatabaseSync(`${cwd}/a.db`, { readOnly: true })
      const rows = database.prepare("SELECT * FROM flows ORDER BY sequence").all().map((row) => ({ ...row }))
      assert.deepStrictEqual(rows, linesOf(fs.readFileSync(`${cwd}/a.jsonl`, "utf8")))
      assert.deepStrictEqual(
        database.prepare("SELECT DISTINCT unit FROM flows_columns WHERE column_name = 'Mass_Flow'").all()
          .map((row) => row["unit"]),
        ["SCCM"]
      )
      database.close()
    }))

  it.effect("tells in the summary what a reader of stdout did not get", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const full = fs.openSync("/dev/full", "w")
      const { code, stderr } = yield* sampleline(
        "record --simulate 1 --duration 300ms --out - --out a.csv --json".split(" "),
        {
          cwd,
          stdio: ["ignore", full, "pipe"]
        }
      )
      fs.closeSync(full)
      assert.strictEqual(code, 1)
      const [stdout, csv] = summaryIn(stderr).sinks
      assert.strictEqual(stdout!.rows, 0)
      assert.include(stdout!.error, "the disk is full")
      assert.strictEqual(rowsOf(`${cwd}/a.csv`).length, csv!.rows)
    }))

  it.effect("on a terminal shows progress, and Ctrl-C ends it with the summary", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const terminal = nodePty.spawn(process.execPath, [BIN, "record", "--simulate", "1", "--out", "a.csv"], {
        cwd,
        cols: 100
      })
      const screen = { text: "", code: -1 }
      terminal.onData((text) => screen.text += text)
      terminal.onExit(({ exitCode }) => screen.code = exitCode)
      yield* eventually(() => /\d+\.\d s {3}[1-9]\d* samples {3}\d+ late {3}\d+ failures/.test(screen.text))
      terminal.write("\u0003")
      yield* eventually(() => screen.code >= 0)
      assert.strictEqual(screen.code, 0)
      const rows = rowsOf(`${cwd}/a.csv`).length
      assert.include(screen.text, `recorded ${rows} samples in `)
      assert.include(screen.text, `a.csv: ${rows} rows`)
    }))

  it.effect("writes JSON lines to stdout for -, and everything else to stderr", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { code, stderr, stdout } = yield* sampleline(
        "record --simulate 1 --duration 500ms --out - --json".split(" "),
        {
          cwd
        }
      )
      assert.strictEqual(code, 0)
      assert.strictEqual(linesOf(stdout).length, summaryIn(stderr).samplesEmitted)
      assert.deepStrictEqual(fs.readdirSync(cwd), [])
    }))

  it.effect("goes on without a stdout whose reader has closed it", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const running = yield* startSampleline(
        "record --simulate 1 --duration 4s --flush-interval 100ms --out - --out a.csv --json".split(" "),
        { cwd }
      )
      yield* running.printed("\"device\":\"sim1\"")
      running.process.stdout!.destroy()
      assert.strictEqual(yield* running.exit, 1)
      assert.include(running.stderr(), "its reader closed the pipe; the other outputs go on without it")
      assert.include(running.stderr().split("\n").at(-2), "sampleline: JsonlSink did not accept")
      const summary = summaryIn(running.stderr())
      assert.strictEqual(rowsOf(`${cwd}/a.csv`).length, summary.samplesEmitted)
      assert.isAbove(summary.samplesEmitted, summary.sinks[0]!.rows)
    }))

  it.effect("is not held up at Ctrl-C by a stdout that nobody reads", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const running = yield* startSampleline(
        "record --simulate 10 --rate 100 --flush-interval 100ms --out - --out a.csv --json".split(" "),
        { cwd }
      )
      running.process.stdout!.pause()
      // 10 devices at 100 Hz fill a pipe of 64 KiB many times over until this many rows are there.
      yield* eventually(() => fs.existsSync(`${cwd}/a.csv`) && fs.statSync(`${cwd}/a.csv`).size > 300_000)
      const asked = performance.now()
      running.process.kill("SIGINT")
      yield* eventually(() => running.process.exitCode !== null)
      // stopTimeout and the close bound of the pipe are 5 s each; the rest is for ending on a busy machine.
      assert.isBelow(performance.now() - asked, 12_000)
      assert.strictEqual(running.process.exitCode, 1)
      assert.include(running.stderr(), "its reader did not read them within 5s")
      assert.strictEqual(rowsOf(`${cwd}/a.csv`).length, summaryIn(running.stderr()).samplesEmitted)
    }))

  it.effect("on SIGTERM exits with 143 even when an output has failed, and says what failed", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const running = yield* startSampleline(
        "record --simulate 1 --flush-interval 100ms --out - --out a.csv".split(" "),
        { cwd }
      )
      yield* running.printed("\"device\":\"sim1\"")
      running.process.stdout!.destroy()
      yield* running.printed("the other outputs go on without it")
      running.process.kill("SIGTERM")
      assert.strictEqual(yield* running.exit, 143)
      assert.include(running.stderr().split("\n").at(-2), "sampleline: JsonlSink did not accept")
    }))

  it.effect("leaves at once on a second Ctrl-C", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const running = yield* startSampleline(
        "record --simulate 10 --rate 100 --flush-interval 100ms --out - --out a.csv".split(" "),
        { cwd }
      )
      running.process.stdout!.pause()
      yield* eventually(() => fs.existsSync(`${cwd}/a.csv`) && fs.statSync(`${cwd}/a.csv`).size > 300_000)
      running.process.kill("SIGINT")
      yield* running.printed("CsvSink closed a.csv")
      running.process.kill("SIGINT")
      yield* eventually(() => running.process.exitCode !== null)
      assert.strictEqual(running.process.exitCode, 130)
    }))

  it.effect("killed with kill -9 leaves every accepted sample, and the next run can append", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const args = "record --simulate 2 --rate 50 --batch-size 1 --identity --out a.csv --out a.jsonl --out a.db".split(
        " "
      )
      const running = yield* startSampleline(args, { cwd })
      yield* eventually(() => fs.existsSync(`${cwd}/a.jsonl`) && fs.statSync(`${cwd}/a.jsonl`).size > 10_000)
      running.process.kill("SIGKILL")
      yield* running.exit
      const sequences = rowsOf(`${cwd}/a.csv`).map((row) => Number(row["sequence"]))
      assert.deepStrictEqual(sequences, Array.from(sequences, (_, n) => n))
      const database = new DatabaseSync(`${cwd}/a.db`)
      const committed = database.prepare("SELECT sequence FROM samples ORDER BY rowid").all().map((row) =>
        row["sequence"]
      )
      database.close()
      assert.isAbove(committed.length, 0)
      assert.deepStrictEqual(committed, Array.from(committed, (_, n) => n))
      const { code, stdout } = yield* sampleline([...args, "--duration", "500ms", "--append", "--json"], { cwd })
      const { samplesEmitted }: JsonSummary = JSON.parse(stdout)
      assert.strictEqual(code, 0)
      assert.strictEqual(rowsOf(`${cwd}/a.csv`).length, sequences.length + samplesEmitted)
    }))

  it.effect("appends and overwrites when told to", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const args = ["record", "--simulate", "1", "--duration", "500ms", "--out", "a.csv", "--quiet", "--json"]
      const record = Effect.fnUntraced(function*(...more: ReadonlyArray<string>) {
        const { code, stdout } = yield* sampleline([...args, ...more], { cwd })
        assert.strictEqual(code, 0)
        const summary: JsonSummary = JSON.parse(stdout)
        return summary.samplesEmitted
      })
      const first = yield* record()
      const second = yield* record("--append")
      assert.strictEqual(rowsOf(`${cwd}/a.csv`).length, first + second)
      const third = yield* record("--overwrite")
      assert.strictEqual(rowsOf(`${cwd}/a.csv`).length, third)
    }))

  it.effect("fails when a device gave no sample in the whole run", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const device = new SimulatedDevice()
      let isOpen = false
      const pty = yield* openPty((chunk) => {
        const command = chunk.toString().trim()
        isOpen ||= command === "A??D*"
        if (command === "A" && isOpen) return
        pty.write(Buffer.from(`${device.respond(command, 0).join("\r")}\r`))
      })
      const [air] = yield* Simulator.make()
      const { code, stderr, stdout } = yield* sampleline(
        [
          "record",
          "--device",
          `fuel=${pty.path}`,
          "--device",
          `air=${air!.port}`,
          "--duration",
          "3s",
          "--rate",
          "1",
          "--out",
          "a.csv"
        ],
        { cwd }
      )
      assert.strictEqual(code, 1)
      assert.include(stderr, "WARN fuel: no reply within 500 ms")
      assert.include(stderr.split("\n").at(-2), "sampleline: no sample came from fuel")
      assert.include(stdout, "failures: fuel ")
      assert.deepStrictEqual(new Set(rowsOf(`${cwd}/a.csv`).map((row) => row["device"])), new Set(["air"]))
    }))

  const device = "--device fuel=/dev/no-such-tty"
  it.effect.each([
    { args: "--simulate 1", code: 2, line: "no output; add --out run.csv" },
    { args: "--out b.csv", code: 2, line: "nothing to record; add --device" },
    {
      args: "--simulate 1 --out b.xlsx",
      code: 2,
      line:
        "--out b.xlsx: its ending tells no format; use .csv, .jsonl, .db, .sqlite, .sqlite3, .parquet, a postgres:// URL"
    },
    { args: "--simulate 1 --out b.csv --out ./b.csv", code: 2, line: "--out ./b.csv is given twice" },
    { args: "--simulate 1 --out b.csv --out b.db --table a;b", code: 2, line: "table is \"a;b\": expected a letter" },
    { args: "--simulate 1 --out b.csv --out exists.csv/b.db", code: 1, line: "a part of its path is a file" },
    { args: "--simulate 1 --out b.csv --out text.db --append", code: 1, line: "it is not an intact SQLite database" },
    { args: "--simulate 1 --out b.csv --out text.db", code: 1, line: "already exists" },
    { args: "--simulate 1 --out exists.csv --out link.csv --append", code: 2, line: "--out link.csv is given twice" },
    {
      args: "--simulate 1 --out b.csv --out exists.parquet",
      code: 1,
      line: "already exists, and a Parquet file cannot be"
    },
    {
      args: "--simulate 1 --out exists.parquet --append",
      code: 1,
      line: "already exists, and a Parquet file cannot be"
    },
    { args: "--simulate 1 --out b.csv --out killed.parquet", code: 1, line: "killed.parquet.partial exists" },
    {
      args: "--simulate 1 --out b.csv --out postgres://127.0.0.1:1/lab",
      code: 1,
      line: "check that the server runs there"
    },
    {
      args: "--simulate 1 --out b.csv --out postgres://h/lab --table a;b",
      code: 2,
      line: "table is \"a;b\": expected"
    },
    { args: "--simulate 1 --out b.csv --out postgres://h/lab?a=b", code: 2, line: "no parameter but sslmode" },
    { args: "--device fuel --out b.csv", code: 2, line: "it has no port; give it as NAME=PORT" },
    { args: "--device fuel=exists.csv --out b.csv", code: 1, line: "it is no serial port" },
    { args: "--simulate 1 --out b.csv --append --overwrite", code: 2, line: "choose one" },
    { args: `--simulate 1 ${device} --out b.csv`, code: 2, line: "choose one" },
    { args: "--simulate 0 --out b.csv", code: 2, line: "a whole number above 0" },
    { args: "--simulate 1 --out b.csv --rate 0", code: 2, line: "above 0, not 0" },
    { args: "--simulate 1 --out b.csv --rate -5", code: 2, line: "--rate" },
    { args: "--simulate 1 --out b.csv --rate NaN", code: 2, line: "finite number" },
    { args: "--simulate 1 --out b.csv --batch-size 0", code: 2, line: "a whole number above 0, not 0" },
    { args: "--simulate 1 --out b.csv --duration 5x", code: 2, line: "such as 10ms, 60s" },
    { args: "--simulate 1 --out b.csv --overflow explode", code: 2, line: "--overflow" },
    { args: "--simulate 1 --out b.csv --frobnicate", code: 2, line: "--frobnicate" },
    { args: "--device =/dev/ttyUSB0 --out b.csv", code: 2, line: "it has no name; give it as NAME=PORT" },
    { args: "--device fuel= --out b.csv", code: 2, line: "it has no port" },
    { args: `${device},unit=AB --out b.csv`, code: 2, line: "expected a unit id, one letter from A to Z" },
    { args: `${device},speed=9600 --out b.csv`, code: 2, line: "it has no setting \"speed\"" },
    { args: `${device},baud=fast --out b.csv`, code: 2, line: "its baud rate \"fast\" is no whole number" },
    { args: `${device} ${device} --out b.csv`, code: 2, line: "two devices are named fuel" },
    {
      args: `${device} --device air=/dev/no-such-tty --out b.csv`,
      code: 2,
      line: "fuel is unit A on /dev/no-such-tty already"
    },
    { args: `${device} --out b.csv`, code: 1, line: "cannot open /dev/no-such-tty: no such port" },
    {
      args: "--simulate 1 --out b.csv --out exists.csv",
      code: 1,
      line: "already exists; choose another name, or use mode \"append\" (--append)"
    },
    { args: "--simulate 1 --out b.csv --out exists.csv/c.csv", code: 1, line: "a part of its path is a file" },
    { args: "--simulate 1 --out b.csv --out foreign.csv --append", code: 1, line: "its header does not match" }
  ])("refuses $args in one line, before any file is touched", ({ args, code, line }) =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      for (const name of ["exists.csv", "exists.parquet", "killed.parquet.partial"]) {
        fs.writeFileSync(`${cwd}/${name}`, "")
      }
      fs.writeFileSync(`${cwd}/foreign.csv`, "time,value\n1,2\n")
      fs.writeFileSync(`${cwd}/text.db`, "this is no database")
      fs.symlinkSync("exists.csv", `${cwd}/link.csv`)
      const before = fs.readdirSync(cwd)
      const result = yield* sampleline(["record", "--quiet", ...args.split(" ")], { cwd })
      assert.include(result.stderr, line)
      assert.strictEqual(result.stderr.trim().split("\n").length, 1)
      assert.isTrue(result.stderr.startsWith("sampleline: "))
      assert.strictEqual(result.code, code)
      assert.strictEqual(result.stdout, "")
      assert.deepStrictEqual(fs.readdirSync(cwd), before)
      assert.strictEqual(fs.readFileSync(`${cwd}/foreign.csv`, "utf8"), "time,value\n1,2\n")
    }))

  it.effect("refuses a folder it may not write to, before any file is touched", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      fs.mkdirSync(`${cwd}/locked`, { mode: 0o555 })
      fs.chmodSync(cwd, 0o755)
      // For root no folder is locked, but some file systems are.
      const locked = process.getuid?.() === 0 ? "/proc/sys/b.csv" : "locked/b.csv"
      const { code, stderr } = yield* sampleline([
        "record",
        "--quiet",
        "--simulate",
        "1",
        "--out",
        "a.csv",
        "--out",
        locked
      ], { cwd })
      assert.strictEqual(code, 1)
      assert.match(stderr, /CsvSink cannot open .*b\.csv/)
      assert.isFalse(fs.existsSync(`${cwd}/a.csv`))
    }))

  it.effect("explains itself, with examples", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const help = yield* sampleline(["record", "--help"], { cwd })
      assert.strictEqual(help.code, 0)
      assert.include(help.stdout, "EXAMPLES")
      assert.include(help.stdout, "sampleline record --simulate 2")
      const version = yield* sampleline(["--version"], { cwd })
      assert.match(version.stdout, /^sampleline v\d+\.\d+\.\d+\n$/)
    }))
})
