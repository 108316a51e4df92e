import { assert, describe, it } from "@effect/vitest"
import { FrameFormat } from "@sampleline/core"
import { Result, Schema } from "effect"
import { misfit } from "../src/AlarmColumns.ts"
import { type AlarmCondition, AlarmExpressionError, parse, print } from "../src/AlarmExpression.ts"

const conditionOf = (text: string): AlarmCondition => Result.getOrThrow(parse(text)).condition
const errorOf = (text: string): AlarmExpressionError => {
  const parsed = parse(text)
  return Result.isFailure(parsed) ? parsed.failure : assert.fail(`${text} is an alarm`)
}

const value = {
  _tag: "Value",
  device: "fuel",
  field: "Mass_Flow",
  operator: "<",
  threshold: 90,
  unit: null,
  clear: null,
  forMillis: 0
}

describe("an alarm", () => {
  it.each<[string, object]>([
    ["fuel.Mass_Flow < 90", value],
    ["  fuel.Mass_Flow<90SCCM for 1h30min  ", { ...value, unit: "SCCM", forMillis: 5_400_000 }],
    ["fuel.Mass_Flow < 90 torr", { ...value, unit: "torr" }],
    ["fuel.Mass_Flow < 90 torr for 5s", { ...value, unit: "torr", forMillis: 5000 }],
    ["fuel.Mass_Flow < 90 for 5s clear 95", { ...value, forMillis: 5000, clear: 95 }],
    ["fuel.Mass_Flow < 90 SCCM clear 95 SCCM for 5s", { ...value, unit: "SCCM", forMillis: 5000, clear: 95 }],
    ["*.Mass_Flow >= -.5e1 °C", { ...value, device: null, operator: ">=", threshold: -5, unit: "°C" }],
    [
      "\"my dev\".\"a.b\\\"\" != 0 \"in H2O\"",
      { ...value, device: "my dev", field: "a.b\"", operator: "!=", threshold: 0, unit: "in H2O" }
    ],
    ["\"*\".Mass_Flow < 90", { ...value, device: "*" }],
    ["disk.Mass_Flow < 90", { ...value, device: "disk" }],
    ["fuel.status has MOV for 2s", { _tag: "Status", device: "fuel", code: "MOV", forMillis: 2000 }],
    ["* is silent for 10s", { _tag: "Silent", device: null, forMillis: 10_000 }],
    ["output is silent for 10s", { _tag: "Silent", device: "output", forMillis: 10_000 }],
    ["disk < 1GB", { _tag: "Disk", operator: "<", threshold: 1e9, clear: null, forMillis: 0 }],
    ["disk <= 1.5 GiB for 5s clear 2GiB", {
      _tag: "Disk",
      operator: "<=",
      threshold: 1.5 * 2 ** 30,
      clear: 2 ** 31,
      forMillis: 5000
    }],
    ["output is behind 1min", { _tag: "Behind", output: null, millis: 60_000, items: null, forMillis: 0 }],
    ["run.csv is behind 10000 for 30s", {
      _tag: "Behind",
      output: "run.csv",
      millis: null,
      items: 10_000,
      forMillis: 30_000
    }],
    ["\"output\" is behind 1min", { _tag: "Behind", output: "output", millis: 60_000, items: null, forMillis: 0 }]
  ])("can be %s", (text, condition) => {
    assert.deepStrictEqual<unknown>(conditionOf(text), condition)
  })

  it.each([
    ["", "expected an alarm such as `fuel.Mass_Flow < 90 for 5s`", 0],
    ["fuel", "expected a comparison, `is` or `has`", 4],
    ["fuel < 90", "expected a field, such as .Mass_Flow, behind the device", 4],
    ["fuel.", "expected a name behind the dot", 5],
    ["a.b.c < 1", "expected one dot; names with dots stand in quotes, such as \"a.b\".c", 4],
    ["fuel.Mass_Flow = 90", "expected <= >= == != < >", 15],
    ["fuel.Mass_Flow <", "expected a number", 16],
    ["fuel.Mass_Flow < x", "expected a number", 17],
    ["fuel.Mass_Flow < 1e999", "expected a number that is not so large", 17],
    ["fuel.Mass_Flow < 90 SCCM fro 5s", "expected `for` or `clear` or the end; did you mean for?", 25],
    ["fuel.Mass_Flow < 90 fro 5s", "expected a unit, `for`, `clear` or the end; did you mean for?", 20],
    ["fuel.Mass_Flow < 90 for 5", "expected a duration such as 5s", 24],
    ["fuel.Mass_Flow < 90 for 5s for 5s", "expected `clear` or the end", 27],
    ["fuel.Mass_Flow < 90 clear 85", "expected a number not below the first one", 26],
    ["fuel.Mass_Flow > 90 clear 95", "expected a number not above the first one", 26],
    ["fuel.Mass_Flow == 90 clear 95", "expected no `clear` with ==", 27],
    ["fuel.Mass_Flow < 90 SCCM clear 95 SLPM", "expected the unit of the first number, which is SCCM", 34],
    ["fuel.sattus has MOV", "expected `status` in front of `has`; did you mean status?", 5],
    ["fuel is silnet for 10s", "expected `silent` or `behind`; did you mean silent?", 8],
    ["fuel is silent", "expected `for` and a duration, such as `for 10s`", 14],
    [
      "a.b is silent for 1s",
      "expected one device; a name with a dot stands in quotes, such as \"a.b\" is silent for 10s",
      0
    ],
    ["disk > 1GB", "expected < or <= for the room on a disk", 5],
    ["disk < 1", "expected a size such as 500MB or 10GiB", 7],
    ["output is behind", "expected a duration such as 1min, or a number of samples", 16],
    ["output is behind 0", "expected a whole number above 0", 17],
    ["\"fuel.Mass_Flow < 90", "expected a second quote at the end of the name", 0]
  ])("cannot be %j", (text, problem, position) => {
    const error = errorOf(text)
    assert.strictEqual(error.problem, problem)
    assert.strictEqual(error.position, position)
  })

  it("that cannot be understood shows the place", () => {
    assert.strictEqual(
      errorOf("fuel.Mass_Flow < x").message,
      "expected a number\n  fuel.Mass_Flow < x\n                   ^"
    )
  })

  const Word = Schema.Literals([
    ..."* fuel . \" \\ < <= == ! 90 -1e3 SCCM for 5s clear 95 is silent behind has status disk output 1GB".split(" "),
    " ",
    "\n",
    "🧪"
  ])

  it.prop("is a condition or an error with a place in the text, for every text", [
    Schema.Union([Schema.String, Schema.Array(Word)])
  ], ([given]) => {
    const text = typeof given === "string" ? given : given.join("")
    const parsed = parse(text)
    if (Result.isSuccess(parsed)) return
    assert.instanceOf(parsed.failure, AlarmExpressionError)
    assert.isAtLeast(parsed.failure.position, 0)
    assert.isAtMost(parsed.failure.position, text.length)
    assert.strictEqual(parsed.failure.message.split("\n").length, 3)
  }, { arbitrary: { runs: 2000 } })

  const Millis = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1e9 }))
  const Held = Schema.Union([Schema.Literal(0), Millis])
  const Name = Schema.Union([Schema.String, Schema.Literals(["*", "output", "for", "run.csv", "disk"])])
  const Any = Schema.NullOr(Name)
  const operator = Schema.Literals(["<", "<=", ">", ">=", "==", "!="])

  it.prop("is the same when it is printed and read again", [
    Schema.Union([
      Schema.TaggedStruct("Value", {
        device: Any,
        field: Name,
        operator,
        threshold: Schema.Finite,
        unit: Schema.NullOr(Name),
        clear: Schema.Null,
        forMillis: Held
      }),
      Schema.TaggedStruct("Status", { device: Any, code: Name, forMillis: Held }),
      Schema.TaggedStruct("Silent", { device: Any, forMillis: Millis }),
      Schema.TaggedStruct("Disk", {
        operator: Schema.Literals(["<", "<="]),
        threshold: Millis,
        clear: Schema.NullOr(Schema.Literal(2 ** 40)),
        forMillis: Held
      }),
      Schema.TaggedStruct("Behind", { output: Any, millis: Millis, items: Schema.Null, forMillis: Held }),
      Schema.TaggedStruct("Behind", { output: Any, millis: Schema.Null, items: Millis, forMillis: Held })
    ])
  ], ([given]) => {
    const condition: AlarmCondition = given._tag === "Value" && !/=/.test(given.operator)
      ? { ...given, threshold: given.threshold + 0, clear: given.threshold + 0 }
      : given._tag === "Value"
      ? { ...given, threshold: given.threshold + 0 }
      : given
    const text = print({ condition })
    assert.deepStrictEqual(conditionOf(text), condition, text)
  }, { arbitrary: { runs: 1000 } })
})

describe("an alarm and the devices", () => {
  const format = FrameFormat.make([
    { name: "Mass_Flow", unit: "SCCM" },
    { name: "Pressure", unit: "PSIA" },
    { name: "Ratio" },
    { name: "Gas", kind: "text" }
  ])
  const devices = [{ name: "fuel", format }, { name: "air", format }]

  const misfitOf = (text: string, known: Parameters<typeof misfit>[1] = devices) =>
    misfit(Result.getOrThrow(parse(text)), known)

  it.each([
    "fuel.Mass_Flow < 90 SCCM",
    "*.Mass_Flow < 90",
    "air.status has MOV",
    "* is silent for 1s",
    "disk < 1GB",
    "run.csv is behind 1s"
  ])("fit for %s", (text) => assert.isUndefined(misfitOf(text)))

  it.each([
    ["fule.Mass_Flow < 90", "there is no device \"fule\"; did you mean fuel?", 0],
    ["fuel.massflow < 90", "there is no field \"massflow\"; did you mean Mass_Flow?", 5],
    ["*.Temperature < 90", "there is no field \"Temperature\"; use Mass_Flow, Pressure, Ratio", 2],
    ["fuel.Gas == 1", "expected a field with numbers; Gas is a text", 5],
    ["fuel.Mass_Flow < 90 SLPM", "expected SCCM, the unit of Mass_Flow", 20],
    ["fuel.Ratio < 1 SCCM", "expected no unit; Ratio has none", 15],
    ["water is silent for 1s", "there is no device \"water\"; use fuel, air", 0]
  ])("do not fit for %s", (text, problem, position) => {
    const error = misfitOf(text)
    assert.deepStrictEqual([error?.problem, error?.position], [problem, position])
  })

  it("may fit as long as the fields of a device are not known", () => {
    const some = [...devices, { name: "new", format: null }]
    assert.isUndefined(misfitOf("new.Anything < 90", some))
    assert.isUndefined(misfitOf("*.Anything < 90", some))
    assert.isDefined(misfitOf("*.Mass_Flow < 90 SLPM", some))
  })
})
