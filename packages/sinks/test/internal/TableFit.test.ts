import { assert, describe, it } from "@effect/vitest"
import { type FieldKind, FrameFormat } from "@sampleline/core"
import { type ExistingColumn, fitTable } from "../../src/internal/TableFit.ts"
import { sampleOf } from "../samples.ts"

const columns = (...names: ReadonlyArray<string>): ReadonlyArray<ExistingColumn> =>
  names.map((name) => ({ name, type: "real", isNotNull: false, isRequired: false }))

const batchOf = (...fields: ReadonlyArray<string>) => [
  sampleOf(FrameFormat.make(fields.map((name) => ({ name }))), fields.map((_, n) => n + 1))
]

const fit = (
  existing: ReadonlyArray<ExistingColumn>,
  batch = batchOf("Mass_Flow", "Temperature"),
  nameInTable?: (name: string) => string
) =>
  fitTable({
    table: "the table",
    existing,
    batch,
    options: {},
    nameInTable,
    storing: ({ type }, taken) =>
      type === "text[]" || (type === "int" && taken === "text")
        ? undefined
        : { type: taken, loses: type === "date" ? "the time of day" : undefined }
  })

describe("a table and a run share columns", () => {
  const shared = (existing: ReadonlyArray<string>, nameInTable?: (name: string) => string) => {
    const batch = batchOf("Mass_Flow", "Gas")
    const found = fit(columns(...existing), batch, nameInTable)
    if ("problem" in found) throw new Error(found.problem)
    const row = found.lock.row(batch[0]!)
    return Object.fromEntries(found.lock.columns.map(({ name }, at) => [name, row[at]]))
  }

  it("of the same name", () => {
    assert.deepStrictEqual(shared(["Gas", "Mass_Flow", "other"]), { Gas: 2, Mass_Flow: 1 })
  })

  it("of the same name but for case", () => {
    assert.deepStrictEqual(shared(["mass_flow", "GAS", "Device"]), { mass_flow: 1, GAS: 2, Device: "fuel" })
  })

  it("of exactly the same name first", () => {
    assert.deepStrictEqual(shared(["mass_flow", "Mass_Flow", "MASS_FLOW"]), { Mass_Flow: 1 })
  })

  it("never by a guess", () => {
    assert.deepStrictEqual(shared(["mass_flow", "MASS_FLOW", "Gas"]), { Gas: 2 })
  })

  it("under the name that the database can store", () => {
    assert.deepStrictEqual(shared(["MAS", "Gas"], (name) => name.slice(0, 3)), { MAS: 1, Gas: 2 })
  })
})

it("tells which columns match a name without case, if they are several", () => {
  const found = fit(columns("mass_flow", "MASS_FLOW", "Temperature"))
  assert.deepInclude(found, {
    losses: ["Mass_Flow is not stored: several columns match it (mass_flow, MASS_FLOW); rename one to Mass_Flow"]
  })
  assert.deepInclude(fit(columns("unit_id", "mass_flow", "MASS_FLOW", "device", "DEVICE")), {
    problem: "Mass_Flow is not stored: several columns match it (mass_flow, MASS_FLOW); rename one to Mass_Flow"
  })
  assert.deepInclude(fit(columns("mass_flow", "Mass_Flow", "MASS_FLOW")), { losses: [] })
})

it("tells what a table does not store", () => {
  const found = fit([
    { name: "received_at", type: "date", isNotNull: false, isRequired: false },
    { name: "mass_flow", type: "real", isNotNull: false, isRequired: false },
    { name: "Temperature", type: "real", isNotNull: false, isRequired: false, isInsertable: false }
  ])
  assert.deepInclude(found, {
    losses: [
      "its column received_at is of type date, so the time of day is lost",
      "leaving out columns that the user may not insert into: Temperature"
    ]
  })
})

describe("a table cannot be used", () => {
  const problemOf = (...args: Parameters<typeof fit>) => {
    const found = fit(...args)
    return "problem" in found ? found.problem : null
  }

  it("if it has none of the run's columns, or none for a measured value", () => {
    assert.strictEqual(problemOf(columns("a")), "the table has none of this run's columns; choose another table")
    assert.strictEqual(
      problemOf(columns("device", "received_at", "status")),
      "the table has no column for a measured value (Mass_Flow, Temperature); add one, or choose another table"
    )
    assert.isNull(problemOf(columns("device", "temperature")))
    assert.isNull(problemOf(columns("device"), batchOf()))
  })

  it("if the user may not insert into the columns for measured values", () => {
    const [flow, temperature] = columns("mass_flow", "temperature")
    const closed = [{ ...flow!, isInsertable: false }, { ...temperature!, isInsertable: false }]
    const problem = "the user may not insert into its columns mass_flow, temperature; GRANT INSERT on the table"
    assert.strictEqual(problemOf([...columns("device"), ...closed]), problem)
    assert.strictEqual(problemOf([...columns("other"), ...closed]), problem)
    assert.isNull(problemOf([flow!, closed[1]!]))
    assert.strictEqual(
      problemOf([flow!, { ...closed[1]!, isNotNull: true, isRequired: true }]),
      "its column temperature needs a value, and the user may not insert into it; GRANT INSERT on the table"
    )
  })

  it("if a column that it shares cannot hold the values", () => {
    const status = { name: "STATUS", type: "text[]", isNotNull: false, isRequired: false }
    assert.strictEqual(
      problemOf([...columns("Mass_Flow"), status]),
      "its column STATUS is of type text[], which cannot hold these values; change its type"
    )
    assert.isNull(problemOf([...columns("Mass_Flow"), { ...status, name: "other" }]))
  })

  it("by the kinds of the fields, and not by the first values", () => {
    const first = (kind: FieldKind) => [sampleOf(FrameFormat.make([{ name: "Volts", kind }]), ["OVER"])]
    const existing = [{ name: "Volts", type: "int", isNotNull: false, isRequired: false }]
    assert.include(problemOf(existing, first("text"))!, "cannot hold these values")
    assert.isNull(problemOf(existing, first("unknown")))
  })

  it("if a column needs a value and gets none", () => {
    const site = { name: "site", type: "text", isNotNull: true, isRequired: true }
    assert.strictEqual(
      problemOf([...columns("Mass_Flow"), site]),
      "its column site needs a value, and this run has none for it; give it a default"
    )
    assert.isNull(problemOf([{ ...site, name: "MASS_FLOW" }]))
    assert.include(
      problemOf([...columns("Mass_Flow"), { ...site, name: "Temperature", isInsertable: false }])!,
      "needs a value"
    )
  })
})

describe("a table's columns for row ids", () => {
  const flow = ["Mass_Flow"]
  const taken = (
    existing: ReadonlyArray<ExistingColumn>,
    options: { readonly rowIds?: boolean } = {},
    fields = flow
  ) => {
    const found = fitTable({
      table: "the table",
      existing: [...columns("Mass_Flow"), ...existing],
      batch: batchOf(...fields),
      options,
      storing: ({ type }, taken) => type === "int" && taken === "text" ? undefined : { type: taken }
    })
    if ("problem" in found) throw new Error(found.problem)
    return [...found.lock.columns.map(({ name }) => name).filter((name) => name !== "Mass_Flow"), ...found.losses]
  }
  const of = (name: string, changes: Partial<ExistingColumn> = {}): ExistingColumn => ({
    name,
    type: "any",
    isNotNull: false,
    isRequired: false,
    ...changes
  })

  it("are filled, asked for or not", () => {
    const existing = columns("run_id", "SEQUENCE", "tick")
    for (const options of [{}, { rowIds: false }, { rowIds: true }]) {
      assert.deepStrictEqual(taken(existing, options), ["run_id", "SEQUENCE", "tick"])
    }
    assert.deepStrictEqual(taken(columns("run_id")), ["run_id"])
    assert.deepStrictEqual(taken([]), [])
  })

  it("are left alone if another type, a default, a missing right or several names show that they are for something else", () => {
    assert.deepStrictEqual(taken([of("run_id", { type: "int" })]), [])
    assert.deepStrictEqual(taken([of("sequence", { hasDefault: true })]), [])
    assert.deepStrictEqual(taken([of("tick", { isInsertable: false })]), [])
    assert.deepStrictEqual(taken([of("TICK"), of("Tick")]), [])
  })

  it("are not taken for those of a device's field of that name", () => {
    assert.deepStrictEqual(taken(columns("tick"), {}, ["Mass_Flow", "Tick"]), [])
    assert.deepStrictEqual(taken(columns("frame_tick", "tick"), {}, ["Mass_Flow", "tick"]), ["frame_tick", "tick"])
    assert.deepStrictEqual(taken(columns("tick"), { rowIds: true }, ["Mass_Flow", "tick"]), ["tick"])
  })

  it("are written as any other column if they are asked for", () => {
    assert.throws(() => taken([of("run_id", { type: "int" })], { rowIds: true }), "its column run_id is of type int")
    assert.deepStrictEqual(taken([of("sequence", { hasDefault: true })], { rowIds: true }), ["sequence"])
  })

  it("are refused where they need a value that they cannot take", () => {
    assert.throws(
      () => taken([of("run_id", { type: "int", isNotNull: true, isRequired: true })]),
      "its column run_id needs a value"
    )
  })

  it("are no loss where they are missing, unless they are asked for", () => {
    const lock = (options: { readonly rowIds?: boolean }) => {
      const batch = batchOf("Mass_Flow")
      const found = fitTable({
        table: "",
        existing: columns("Mass_Flow"),
        batch,
        options,
        storing: (_, type) => ({ type })
      })
      if ("problem" in found) throw new Error(found.problem)
      found.lock.row(batch[0]!)
      return found.lock.dropped.byColumn
    }
    assert.deepStrictEqual(lock({}), {})
    assert.deepStrictEqual(lock({ rowIds: true }), { run_id: 1, sequence: 1, tick: 1 })
  })
})
