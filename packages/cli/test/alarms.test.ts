import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { FrameFormat } from "@sampleline/core"
import { Effect, Option } from "effect"
import * as fs from "node:fs"
import { eventsBeside, eventsInSqlite } from "../../sinks/test/events.ts"
import { check } from "../src/alarms.ts"
import { type RecordFlags, recordFlags } from "../src/recordFlags.ts"
import { withSettings } from "../src/settings.ts"
import { sampleline, tempFolder } from "./process.ts"

const NO_FLAGS = Object.fromEntries(Object.keys(recordFlags).map((name) => [name, Option.none()]))

interface Given {
  readonly out?: ReadonlyArray<string>
  readonly "on-alarm"?: string
  readonly "no-journal"?: boolean
}

/** Checks the alarms of a recording with these flags. */
const checked = (alarm: ReadonlyArray<string>, { out = ["run.csv"], ...given }: Given = {}) => {
  const options = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, Option.some(value)]))
  const flags = { ...NO_FLAGS, simulate: Option.some(1), device: [], meta: [], out, alarm, ...options }
  const format = FrameFormat.make([{ name: "Mass_Flow", unit: "SCCM" }])
  const devices = [{ name: "sim1", unitId: "A", identity: null, format }]
  return withSettings(
    flags as unknown as RecordFlags,
    (settings) => Effect.andThen(check(settings), check(settings, devices))
  )
}

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("--alarm", (it) => {
  it.effect("warns, is an event in every output, and runs a program", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { code, stderr } = yield* sampleline([
        ..."record --simulate 1 --duration 1s --out run.csv --out run.db --alarm".split(" "),
        "*.Mass_Flow > -1000 SCCM for 200ms",
        "--alarm",
        "sim1.Mass_Flow < -1000 SCCM",
        "--on-alarm",
        "sh -c 'echo $SAMPLELINE_STATE $SAMPLELINE_DEVICE >> told.txt; echo a message'"
      ], { cwd })
      assert.strictEqual(code, 0, stderr)
      assert.match(stderr, /WARN alarm \*\.Mass_Flow > -1000 SCCM for 200ms: sim1\.Mass_Flow is [\d.]+ SCCM\n/)
      assert.match(stderr, /INFO the alarm command sh: a message\n/)
      assert.strictEqual(fs.readFileSync(`${cwd}/told.txt`, "utf8"), "raised sim1\n")
      const events = eventsBeside(`${cwd}/run.csv`)
      assert.deepStrictEqual(eventsInSqlite(`${cwd}/run.db`), events)
      const [raised, ...more] = events.filter(({ event }) => event.startsWith("Alarm"))
      assert.deepStrictEqual(more, [])
      assert.deepInclude(raised, { event: "AlarmRaised", device: "sim1", detail: "*.Mass_Flow > -1000 SCCM for 200ms" })
    }))

  it.effect("that cannot be understood shows the place, and nothing is opened", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const args = "record --simulate 1 --out run.csv --alarm".split(" ")
      const { code, stderr } = yield* sampleline([...args, "sim1.Mass_Flow < fast"], { cwd })
      assert.strictEqual(code, 2)
      assert.deepStrictEqual(stderr.trimEnd().split("\n"), [
        "sampleline: alarm \"sim1.Mass_Flow < fast\": expected a number",
        "  sim1.Mass_Flow < fast",
        "                   ^"
      ])
      assert.deepStrictEqual(fs.readdirSync(cwd), [])
    }))

  it.effect("fits the devices, the outputs and the program", () =>
    checked([
      "sim1.Mass_Flow < 90 SCCM for 5s",
      "* is silent for 10s",
      "disk < 1GB",
      "output is behind 1min",
      "run.csv is behind 100",
      "postgres is behind 100"
    ], { out: ["data/run.csv", "postgres://me@host/lab"], "on-alarm": "sh -c 'exit 0'" }))

  it.effect.each<[ReadonlyArray<string>, Given, string]>([
    [["sim2.Mass_Flow < 90"], {}, "there is no device \"sim2\"; did you mean sim1?"],
    [["sim1.MassFlow < 90"], {}, "there is no field \"MassFlow\"; did you mean Mass_Flow?"],
    [["run.cvs is behind 1min"], {}, "there is no output \"run.cvs\"; did you mean run.csv?"],
    [
      ["run.csv is behind 1min"],
      { out: ["a/run.csv", "b/run.csv"] },
      "there is no output \"run.csv\"; did you mean a/run.csv?"
    ],
    [["disk < 1GB", "disk < 1GB"], {}, "alarm disk < 1GB is given twice"],
    [["output is behind 1min"], { "no-journal": true }, "without a journal no output is behind"],
    [["disk < 1GB"], { out: ["-"] }, "no output is on a disk"],
    [[], { "on-alarm": "sh" }, "--on-alarm needs an alarm"],
    [["disk < 1GB"], { "on-alarm": "no-such-program x" }, "--on-alarm: there is no program \"no-such-program\""],
    [["disk < 1GB"], { "on-alarm": "mail $ME" }, "--on-alarm: there is no shell for"]
  ])("refuses %j with %j", ([alarms, given, message]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(checked(alarms, given))
      assert.include(error.message, message)
    }))

  it.effect("never shows a password", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(checked(["\"postgres://me:s3cret@host/lab\" is behind 1min"]))
      assert.notInclude(JSON.stringify(error), "s3cret")
    }))
})
