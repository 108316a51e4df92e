import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { sampleline, tempFolder } from "./process.ts"
import { expectRefused, type Refusal } from "./refusals.ts"

const headerOf = (path: string) => fs.readFileSync(path, "utf8").split("\n")[0]!.split(",")

const device = "--device fuel=/dev/no-such-tty"

const REFUSALS: ReadonlyArray<Refusal> = [
  { args: "--simulate 1", code: 2, line: "no output; add --out run.csv" },
  { args: "--out b.csv", code: 2, line: "nothing to record; add --device" },
  { args: "--simulate 1 --out b.csv --append --overwrite", code: 2, line: "choose one" },
  { args: `--simulate 1 ${device} --out b.csv`, code: 2, line: "choose one" },
  { args: "--simulate 0 --out b.csv", code: 2, line: "a whole number above 0" },
  {
    args: "--simulate 1 --out b.csv --rate 0",
    code: 2,
    line: "--rate: \"0\". Expected: a number of ticks per second above 0"
  },
  { args: "--simulate 1 --out b.csv --rate -5", code: 2, line: "--rate" },
  { args: "--simulate 1 --out b.csv --rate NaN", code: 2, line: "finite number" },
  {
    args: "--simulate 1 --out b.csv --batch-size 0",
    code: 2,
    line: "--batch-size: \"0\". Expected: a whole number above 0"
  },
  { args: "--simulate 1 --out b.csv --duration 5x", code: 2, line: "such as 10ms, 60s" },
  { args: "--simulate 1 --out b.csv --overflow explode", code: 2, line: "--overflow" },
  { args: "--simulate 1 --out b.csv --journal j --no-journal", code: 2, line: "choose one" },
  { args: "--simulate 1 --out b.csv --journal-max 5", code: 2, line: "a size of at least 1MB, such as 500MB or 10GiB" },
  { args: "--simulate 1 --out b.csv --journal-full explode", code: 2, line: "--journal-full" },
  { args: "--simulate 1 --out b.csv --metrics 70000", code: 2, line: "a port such as 9464, or HOST:PORT" },
  { args: "--simulate 1 --out b.csv --otlp collector:4318", code: 2, line: "a URL such as http://127.0.0.1:4318" },
  {
    args: "--simulate 1 --out b.csv --otlp http://me:s3cret@c",
    code: 2,
    line: "--otlp: \"http://c\". Expected: a URL"
  },
  { args: "--simulate 1 --out b.csv --frobnicate", code: 2, line: "--frobnicate" },
  {
    args: "--stream --precise --simulate 1 --out b.csv",
    code: 2,
    line: "--precise and --stream cannot be combined"
  },
  {
    args: "--stream --device a=tcp://127.0.0.1:1 --device b=tcp://127.0.0.1:2 --rate 0 --out b.csv",
    code: 2,
    line: "rate"
  },
  {
    args: "--stream --simulate 1 --rate 0.001 --out b.csv",
    code: 2,
    line: "--rate 0.001 is too slow for --stream; give at least 0.016"
  }
]

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("settings", (it) => {
  it.effect.each(REFUSALS)("$args is refused in one line, before any file is touched", expectRefused)

  it.effect("come from a YAML or JSON file, and flags override the file", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      fs.writeFileSync(
        `${cwd}/bench.yaml`,
        "simulate: 2\nout: a.csv\nrate: 50\nduration: 400ms\nrow-ids: true\njson: true\n"
      )
      fs.writeFileSync(
        `${cwd}/bench.json`,
        JSON.stringify({ simulate: 1, out: ["b.csv"], duration: "1h", append: true })
      )
      const record = (args: string) => sampleline(["record", ...args.split(" ")], { cwd })
      const [yaml, json, overridden] = yield* Effect.all([
        record("--config bench.yaml"),
        record("--config bench.json --duration 300ms --overwrite --simulate 2 --out c.csv"),
        record("--config bench.yaml --no-row-ids --no-json --out d.csv --device fuel=/dev/none")
      ], { concurrency: "unbounded" })
      assert.strictEqual(yaml.code, 0, yaml.stderr)
      const summary = JSON.parse(yaml.stdout)
      assert.strictEqual(summary.ticks + summary.samplesLate, 20)
      assert.include(headerOf(`${cwd}/a.csv`), "run_id")
      assert.strictEqual(json.code, 0, json.stderr)
      assert.include(json.stdout, "c.csv: ")
      assert.isFalse(fs.existsSync(`${cwd}/b.csv`))
      assert.strictEqual(overridden.code, 1)
      assert.include(overridden.stderr, "cannot open /dev/none")
    }))

  it.effect.each([
    { inFile: {}, args: "--row-ids", columns: ["run_id", "sequence", "tick"] },
    { inFile: {}, args: "--identity", columns: ["run_id", "sequence", "tick"] },
    { inFile: { "row-ids": true }, args: "", columns: ["run_id", "sequence", "tick"] },
    { inFile: { identity: true }, args: "", columns: ["run_id", "sequence", "tick"] },
    { inFile: { identity: true }, args: "--no-row-ids", columns: [] },
    { inFile: { "row-ids": true }, args: "--no-identity", columns: [] },
    { inFile: {}, args: "", columns: [] }
  ])(
    "$inFile in the file and the flags \"$args\" add the columns $columns",
    ({ args, columns, inFile }) =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        fs.writeFileSync(
          `${cwd}/bench.json`,
          JSON.stringify({ ...inFile, simulate: 1, out: "a.csv", duration: "100ms" })
        )
        const { code, stderr } = yield* sampleline(
          ["record", "--config", "bench.json", ...args.split(" ").filter((arg) => arg !== "")],
          { cwd }
        )
        assert.strictEqual(code, 0, stderr)
        const added = headerOf(`${cwd}/a.csv`).filter((name) => ["run_id", "sequence", "tick"].includes(name))
        assert.deepStrictEqual(added, columns)
      })
  )
})
