import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { openPty } from "@sampleline/alicat/Pty"
import { SimulatedDevice } from "@sampleline/alicat/SimulatedDevice"
import * as Simulator from "@sampleline/alicat/Simulator"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { BIN, run, sampleline, startSampleline, startSimulator, tempFolder } from "./process.ts"
import { fileGrowsBeyond, type JsonSummary, linesOf, rowsOf } from "./recordings.ts"

/** Some machines let no process trace another. */
const canTrace = spawnSync("strace", ["-o", "/dev/null", "true"]).status === 0

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("sampleline record", (it) => {
  it.effect("records two simulated devices into two files, each sample once", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { code, stdout } = yield* sampleline(
        "record --simulate 2 --rate 200 --duration 1s --out a.csv --out a.jsonl --json".split(" "),
        { cwd }
      )
      assert.strictEqual(code, 0)
      const summary: JsonSummary = JSON.parse(stdout)
      // 400 samples, fewer if the machine is busy: then late ticks are counted.
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
      // All numbers of these devices are floats.
      const inCsv = (value: unknown) => Number.isInteger(value) ? `${String(value)}.0` : String(value)
      assert.deepStrictEqual(
        csv,
        jsonl.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, inCsv(value)])))
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

  it.effect("records the same rows into an SQLite table", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { code } = yield* sampleline(
        "record --simulate 2 --rate 100 --duration 200ms --out a.jsonl --out a.db --table flows --row-ids".split(" "),
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

  it.effect("killed with kill -9 without a journal leaves every accepted sample, and the next run can append", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const args =
        "record --no-journal --simulate 2 --rate 200 --batch-size 1 --row-ids --out a.csv --out a.jsonl --out a.db"
          .split(" ")
      const running = yield* startSampleline(args, { cwd })
      yield* fileGrowsBeyond(`${cwd}/a.jsonl`, 10_000)
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
      const { code, stdout } = yield* sampleline([...args, "--duration", "100ms", "--append", "--json"], { cwd })
      const { samplesEmitted }: JsonSummary = JSON.parse(stdout)
      assert.strictEqual(code, 0)
      assert.strictEqual(rowsOf(`${cwd}/a.csv`).length, sequences.length + samplesEmitted)
    }))

  it.effect("appends to a file or overwrites it", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const args = "record --simulate 1 --rate 50 --duration 100ms --out a.csv --quiet --json".split(" ")
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
          "1s",
          "--rate",
          "2",
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

  it.effect("starts without a missing device only with --allow-missing", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { devices: [fuel] } = yield* startSimulator(cwd, "--devices", "1")
      const args = [
        "record",
        "--device",
        fuel!.flag,
        "--device",
        "air=/dev/none",
        "--duration",
        "200ms",
        "--out",
        "a.csv"
      ]
      const strict = yield* sampleline(args, { cwd })
      assert.strictEqual(strict.code, 1)
      assert.include(strict.stderr, "sampleline: cannot open /dev/none: no such port")
      assert.deepStrictEqual(fs.readdirSync(cwd), [])
      const { code, stderr, stdout } = yield* sampleline([...args, "--allow-missing", "--json"], { cwd })
      assert.strictEqual(code, 0, stderr)
      assert.include(stderr, "going on without it until it is there")
      const summary = JSON.parse(stdout)
      assert.deepStrictEqual(summary.silentDevices, ["air"])
      assert.deepStrictEqual(summary.failures, { sim1: 0, air: summary.ticks })
      const nothing = yield* sampleline(
        ["record", "--device", "air=/dev/none", "--allow-missing", "--duration", "100ms", "--out", "b.csv"],
        { cwd }
      )
      assert.strictEqual(nothing.code, 1)
      assert.include(nothing.stderr, "no sample was recorded")
    }))

  it.effect("warns of a rate that the bus cannot reach", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { devices: [fuel] } = yield* startSimulator(cwd, "--devices", "1", "--delay", "30ms")
      const { code, stderr } = yield* sampleline(
        ["record", "--device", fuel!.flag, "--rate", "100", "--duration", "200ms", "--out", "a.csv"],
        { cwd }
      )
      assert.strictEqual(code, 0)
      assert.match(
        stderr,
        /WARN 100 Hz is more than \S+ can do: polling sim1 there takes [\d.]+ ms, which makes at most/
      )
    }))

  it.effect.skipIf(!canTrace)(
    "forces the journal to disk every second, but not with --fsync never",
    () =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        const record = "record --simulate 1 --rate 20 --duration 2500ms --append --out a.csv".split(" ")
        const forced = Effect.fnUntraced(function*(fsync: string) {
          const { code, stderr } = yield* run(
            "strace",
            [
              "-f",
              "-y",
              "-e",
              "trace=fdatasync,fsync",
              "-o",
              "trace",
              process.execPath,
              BIN,
              ...record,
              "--fsync",
              fsync
            ],
            { cwd }
          )
          assert.strictEqual(code, 0, stderr)
          return fs.readFileSync(`${cwd}/trace`, "utf8").split("\n").filter((line) => /segment-\d+\.db-wal>/.test(line))
            .length
        })
        const never = yield* forced("never")
        assert.isAbove(yield* forced("interval"), never)
      })
  )
})
