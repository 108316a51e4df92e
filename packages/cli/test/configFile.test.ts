import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { ConfigFile, parseConfigFile } from "../src/configFile.ts"
import { UsageError } from "../src/errors.ts"
import { recordFlags } from "../src/recordFlags.ts"
import { sampleline, tempFolder } from "./process.ts"

const EVERYTHING = `# Everything that a file can set.
devices:
  fuel: /dev/ttyUSB0
  air: { port: /dev/ttyUSB1, unit: B, baud: 19200 }
  base: { port: /dev/ttyUSB2, columns: [Temp:°C, Flow:SCCM, Valve:%, Gas:text] }
simulate: 2
out: [run.csv, "postgres://me@localhost/lab"]
rate: 20
duration: 1h30min
meta: { operator: Ada }
note: first try
table: flows
create-table: true
row-ids: true
identity: true
batch-size: 128
flush-interval: 500ms
overflow: drop-oldest
precise: false
stream: false
allow-missing: true
overwrite: false
append: false
journal: bench.journal
no-journal: false
journal-max: 500MB
journal-full: drop-oldest
disk-wait: 2min
fsync: interval
alarms: [fuel.Mass_Flow < 90 SCCM for 5s, "* is silent for 10s"]
on-alarm: [notify-send, sampleline]
view: 7373
view-host: 192.168.0.7
metrics: 9464
otlp: http://127.0.0.1:4318
json: true
plain: true
quiet: true
`

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("--config", (it) => {
  const read = (text: string) => Effect.result(parseConfigFile("bench.yaml", text))

  it.effect("can set whatever the flags can", () =>
    Effect.gen(function*() {
      const { alarm: _alarm, config: _config, device: _device, ...others } = recordFlags
      assert.deepStrictEqual(
        Object.keys(ConfigFile.fields).toSorted(),
        ["alarms", "devices", ...Object.keys(others)].toSorted()
      )
      const content = Result.getOrThrow(yield* read(EVERYTHING))
      assert.deepStrictEqual(Object.keys(content).toSorted(), Object.keys(ConfigFile.fields).toSorted())
      assert.deepStrictEqual(content.devices, {
        fuel: "/dev/ttyUSB0",
        air: { port: "/dev/ttyUSB1", unit: "B", baud: 19200 },
        base: { port: "/dev/ttyUSB2", columns: ["Temp:°C", "Flow:SCCM", "Valve:%", "Gas:text"] }
      })
    }))

  it.effect.each(
    [
      ["rate: fast", "rate: Expected a number above 0 without quotes, such as 20"],
      ["rate: \"10\"", "rate: Expected a number above 0 without quotes, such as 20"],
      ["rate: -1", "rate: Expected a number above 0"],
      ["raet: 20", "unknown setting \"raet\"; did you mean rate?"],
      ["outt: run.csv", "unknown setting \"outt\"; did you mean out?"],
      ["rowIds: true", "unknown setting \"rowIds\"; did you mean row-ids?"],
      ["batch_size: 1", "unknown setting \"batch_size\"; did you mean batch-size?"],
      ["colour: red", "unknown setting \"colour\"; use devices, simulate, out, rate"],
      ["duration: 60", "duration: Expected a duration such as 10ms, 60s or 2h, with its unit"],
      ["flush-interval: 1", "flush-interval: Expected a duration such as 10ms, 60s or 2h, with its unit"],
      ["duration: soon", "duration: Expected a duration such as 10ms"],
      ["out: [run.csv, 3]", "out.1: Expected an output such as run.csv"],
      ["out: 3", "out: Expected an output such as run.csv, or a list such as [run.csv, run.db]"],
      ["table: 3", "table: Expected a table name such as samples"],
      ["simulate: yes", "simulate: Expected a whole number above 0 without quotes"],
      ["batch-size: \"64\"", "batch-size: Expected a whole number above 0 without quotes"],
      ["journal-max: 5", "journal-max: Expected a size of at least 100MB, such as 500MB or 10GiB"],
      ["journal-full: explode", "journal-full: Expected one of stop, drop-oldest"],
      ["disk-wait: 60", "disk-wait: Expected a duration"],
      ["quiet: yes", "quiet: Expected true or false without quotes"],
      ["metrics: 70000", "metrics: Expected a port such as 9464, or HOST:PORT such as 0.0.0.0:9464"],
      ["metrics: true", "metrics: Expected a port such as 9464, or HOST:PORT"],
      ["metrics: 'rig 3'", "metrics: Expected a port such as 9464, or HOST:PORT"],
      ["otlp: http://me:s3cret@c", "otlp: Expected a URL such as http://127.0.0.1:4318, without user, password"],
      ["otlp: 4318", "otlp: Expected a URL such as http://127.0.0.1:4318"],
      ["alarms: fuel.Mass_Flow < 90", "alarms: Expected a list of alarms such as [\"fuel.Mass_Flow < 90 for 5s\""],
      ["on-alarm: notify-send x", "on-alarm: Expected a program and its arguments, such as [notify-send, sampleline]"],
      ["on-alarm: []", "on-alarm: Expected a program such as [notify-send, sampleline]"],
      ["fsync: false", "fsync: Expected one of never, interval, always"],
      ["overflow: wait", "overflow: Expected one of block, drop-newest, drop-oldest"],
      ["devices: { fuel: { unit: B } }", "devices.fuel.port: Missing key"],
      [
        "devices: { fuel: { port: x, prot: y } }",
        "devices.fuel: unknown setting \"prot\"; did you mean port?"
      ],
      ["devices: { fuel: { port: x, unit: AB } }", "devices.fuel.unit: Expected a unit id, one letter from A to Z"],
      [
        "devices: { fuel: { port: x, speed: 1 } }",
        "devices.fuel: unknown setting \"speed\"; use port, unit, baud, columns"
      ],
      [
        "devices: { fuel: { port: x, columns: [Temp: °C] } }",
        "devices.fuel.columns.0: Expected a column such as Flow:SCCM or Gas:text, without a space after the colon"
      ],
      ["devices: { fuel: { port: x, columns: Flow:SCCM } }", "devices.fuel.columns: Expected columns such as"],
      ["devices: 3", "devices: Expected devices with their names, such as `fuel: /dev/ttyUSB0`"],
      ["devices: [/dev/ttyUSB0]", "devices: Expected devices with their names"],
      ["devices: { fuel: 3 }", "devices.fuel: Expected a port such as /dev/ttyUSB0, or settings such as { port:"],
      ["devices: { fuel: { port: 3 } }", "devices.fuel.port: Expected a port such as /dev/ttyUSB0, COM3 or tcp://"],
      ["devices:\n  010: /dev/ttyUSB0", "devices.010: Expected a name in quotes, such as \"010\""],
      ["devices: { true: /dev/ttyUSB0 }", "devices.true: Expected a name in quotes"],
      ["devices: {}", "devices: Expected at least one device"],
      ["devices: { fuel: '' }", "devices.fuel: Expected a port"],
      ["devices: { fuel: { port: x, baud: 9600.5 } }", "devices.fuel.baud: Expected a whole number above 0"],
      ["rate: 20\nrate: 30", "Map keys must be unique at line 2, column 1"],
      ["out: [a.csv", "at line 1, column"],
      ["- rate: 20", "Expected object: write settings such as `rate: 20`"],
      ["a: &a [x]\nb: [*a, *a]\nrate: 1", "unknown setting \"a\"; use"]
    ] as const
  )("refuses %j and names the place: %s", ([text, message]) =>
    Effect.gen(function*() {
      const result = yield* read(text)
      assert.isTrue(Result.isFailure(result))
      if (Result.isSuccess(result)) return
      assert.instanceOf(result.failure, UsageError)
      assert.include(result.failure.message, "bench.yaml: ")
      assert.include(result.failure.message, message)
      assert.notInclude(result.failure.message, "\n")
    }))

  it.effect("is wrong usage if it cannot be read, and its passwords are never printed", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      fs.writeFileSync(`${cwd}/bad.yaml`, "out: \"postgres://me:s3cret@db/lab\nrate: [")
      fs.writeFileSync(
        `${cwd}/worse.yaml`,
        "out: {postgres://me:s3cret@db/lab: 1}\npostgres://me:s3cret@db/lab: 2\n*s3cret : 3"
      )
      fs.writeFileSync(`${cwd}/large.yaml`, "#".repeat(1_000_001))
      execFileSync("mkfifo", [`${cwd}/pipe.yaml`])
      const expectFailure = Effect.fnUntraced(function*([file, message]: readonly [string, string]) {
        const { code, stderr } = yield* sampleline(["record", "--config", file], { cwd })
        assert.strictEqual(code, 2, file)
        assert.include(stderr, message)
        assert.notInclude(stderr, "s3cret")
        assert.strictEqual(stderr.split("\n").length, 2)
      })
      yield* Effect.forEach(
        [
          ["none.yaml", "no such file"],
          [".", "this is a folder; give a YAML or JSON file"],
          ["pipe.yaml", "this is a pipe; give a YAML or JSON file"],
          ["/dev/zero", "this is a device; give a YAML or JSON file"],
          ["bad.yaml", "--config bad.yaml: "],
          ["worse.yaml", "--config worse.yaml: "],
          ["large.yaml", "this is larger than 1 MB"]
        ] as const,
        expectFailure,
        { concurrency: 3, discard: true }
      )
    }))

  it.effect("may name an empty file", () =>
    Effect.gen(function*() {
      for (const text of ["", "# nothing\n", "{}", "---\n"]) {
        assert.deepStrictEqual(yield* read(text), Result.succeed({}))
      }
    }))

  it.effect("gives settings or a UsageError for 10,000 mutated files", () =>
    Effect.gen(function*() {
      let state = 20_261_122
      const random = (below: number) => {
        state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x297a2d39 | 0
        return (state >>> 0) % below
      }
      const originals = [
        EVERYTHING,
        JSON.stringify({ devices: { fuel: { port: "x" } }, out: "a.csv", rate: 1, duration: "1s" }),
        "a: &a [*a, *a]\nb: !!binary x\n? {c: 1}\n: - - - [[{{\n<<: *a\n__proto__: 1\nrate: .inf\n"
      ].map((text) => Buffer.from(text))
      let [refused, accepted] = [0, 0]
      for (let n = 0; n < 10_000; n++) {
        const text = [...originals[random(10) === 0 ? 1 + random(2) : 0]!]
        for (let mutations = random(6); mutations >= 0; mutations--) {
          const at = random(text.length)
          const how = random(4)
          if (how === 0) text[at] = random(256)
          else if (how === 1) text.splice(at, random(20))
          else if (how === 2) text.splice(at, 0, ...text.slice(at >> 1, (at >> 1) + random(40)))
          else text.splice(at, 0, "{}[]:,&*!|>'\"%@`#-? \n\t"[random(22)]!.charCodeAt(0))
        }
        const result = yield* read(Buffer.from(text).toString())
        if (Result.isSuccess(result)) accepted++
        else {
          refused++
          assert.instanceOf(result.failure, UsageError)
          assert.notInclude(result.failure.message, "\n")
        }
      }
      assert.isAbove(refused, 1000)
      assert.isAbove(accepted, 100)
    }))
})
