import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as fs from "node:fs"
import { UsageError } from "../src/failures.ts"
import { ConfigFile, flags, parseConfig } from "../src/settings.ts"
import { sampleline, tempFolder } from "./process.ts"

const EVERYTHING = `# Everything that a file can say.
devices:
  fuel: /dev/ttyUSB0
  air: { port: /dev/ttyUSB1, unit: B, baud: 19200 }
simulate: 2
out: [run.csv, "postgres://me@localhost/lab"]
rate: 20
duration: 1h30min
table: flows
create-table: true
identity: true
batch-size: 128
flush-interval: 500ms
overflow: drop-oldest
precise: false
stream: false
allow-missing: true
overwrite: false
append: false
fsync: interval
json: true
quiet: true
`

it.layer(NodeServices.layer, { excludeTestServices: true })("--config", (it) => {
  const read = (text: string) => Effect.result(parseConfig("bench.yaml", text))

  it.effect("can say whatever the flags can", () =>
    Effect.gen(function*() {
      const { config: _config, device: _device, ...others } = flags
      assert.deepStrictEqual(Object.keys(ConfigFile.fields).toSorted(), ["devices", ...Object.keys(others)].toSorted())
      const content = Result.getOrThrow(yield* read(EVERYTHING))
      assert.deepStrictEqual(Object.keys(content).toSorted(), Object.keys(ConfigFile.fields).toSorted())
      assert.deepStrictEqual(content.devices, {
        fuel: "/dev/ttyUSB0",
        air: { port: "/dev/ttyUSB1", unit: "B", baud: 19200 }
      })
    }))

  it.effect("gives the settings of a recording, in YAML or JSON, and flags go before them", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      fs.writeFileSync(
        `${cwd}/bench.yaml`,
        "simulate: 2\nout: a.csv\nrate: 50\nduration: 400ms\nidentity: true\njson: true\n"
      )
      fs.writeFileSync(
        `${cwd}/bench.json`,
        JSON.stringify({ simulate: 1, out: ["b.csv"], duration: "1h", append: true })
      )
      const yaml = yield* sampleline(["record", "--config", "bench.yaml"], { cwd })
      assert.strictEqual(yaml.code, 0, yaml.stderr)
      const summary = JSON.parse(yaml.stdout)
      assert.strictEqual(summary.ticks + summary.samplesLate, 20)
      const header = (file: string) => fs.readFileSync(`${cwd}/${file}`, "utf8").split("\n")[0]!.split(",")
      assert.include(header("a.csv"), "run_id")
      const json = yield* sampleline(
        ["record", "--config", "bench.json", "--duration", "300ms", "--overwrite", "--simulate", "2", "--out", "c.csv"],
        { cwd }
      )
      assert.strictEqual(json.code, 0, json.stderr)
      assert.include(json.stdout, "c.csv: ")
      assert.isFalse(fs.existsSync(`${cwd}/b.csv`))
      const without = yield* sampleline(
        [
          "record",
          "--config",
          "bench.yaml",
          "--no-identity",
          "--no-json",
          "--out",
          "d.csv",
          "--device",
          "fuel=/dev/none"
        ],
        { cwd }
      )
      assert.strictEqual(without.code, 1)
      assert.include(without.stderr, "cannot open /dev/none")
    }))

  it.effect.each(
    [
      ["rate: fast", "rate: Expected number"],
      ["rate: -1", "rate: Expected a value greater than 0"],
      ["raet: 20", "raet: no such setting; there are devices, simulate, out, rate"],
      ["duration: 60", "duration: Expected string"],
      ["duration: soon", "duration: Expected a time such as 10ms"],
      ["out: [run.csv, 3]", "out.1: Expected string"],
      ["overflow: wait", "overflow: Expected \"block\" | \"drop-newest\" | \"drop-oldest\""],
      ["devices: { fuel: { unit: B } }", "devices.fuel.port: Missing key"],
      [
        "devices: { fuel: { port: x, prot: y } }",
        "devices.fuel.prot: no such setting of a device; there are port, unit, baud"
      ],
      ["devices: { fuel: { port: x, unit: AB } }", "devices.fuel.unit: Expected a unit id, one letter from A to Z"],
      ["devices: {}", "devices: Expected at least one device"],
      ["devices: { fuel: '' }", "devices.fuel: Expected a port"],
      ["devices: { fuel: { port: x, baud: 9600.5 } }", "devices.fuel.baud: Expected an integer"],
      ["rate: 20\nrate: 30", "Map keys must be unique at line 2, column 1"],
      ["out: [a.csv", "at line 1, column"],
      ["- rate: 20", "Expected object: settings such as `rate: 20`"],
      ["a: &a [x]\nb: [*a, *a]\nrate: 1", "a: no such setting"]
    ] as const
  )("refuses %j by the path in the file: %s", ([text, message]) =>
    Effect.gen(function*() {
      const result = yield* read(text)
      assert.isTrue(Result.isFailure(result))
      if (Result.isSuccess(result)) return
      assert.instanceOf(result.failure, UsageError)
      assert.include(result.failure.message, "bench.yaml: ")
      assert.include(result.failure.message, message)
      assert.notInclude(result.failure.message, "\n")
    }))

  it.effect("is wrong usage where it cannot be read, and never shows a password that stands in it", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      fs.writeFileSync(`${cwd}/bad.yaml`, "out: \"postgres://me:s3cret@db/lab\nrate: [")
      fs.writeFileSync(
        `${cwd}/worse.yaml`,
        "out: {postgres://me:s3cret@db/lab: 1}\npostgres://me:s3cret@db/lab: 2\n*s3cret : 3"
      )
      fs.writeFileSync(`${cwd}/large.yaml`, "#".repeat(1_000_001))
      for (
        const [file, message] of [
          ["none.yaml", "no such file"],
          [".", "illegal operation on a directory"],
          ["/dev/zero", "it is a device, not a file of settings"],
          ["bad.yaml", "--config bad.yaml: "],
          ["worse.yaml", "--config worse.yaml: "],
          ["large.yaml", "it is too large to be a file of settings"]
        ] as const
      ) {
        const { code, stderr } = yield* sampleline(["record", "--config", file], { cwd })
        assert.strictEqual(code, 2, file)
        assert.include(stderr, message)
        assert.notInclude(stderr, "s3cret")
        assert.strictEqual(stderr.split("\n").length, 2)
      }
    }))

  it.effect("of an empty file says nothing", () =>
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
