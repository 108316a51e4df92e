import { assert, it } from "@effect/vitest"
import type { ColumnType } from "@sampleline/core"
import { DatabaseSync } from "node:sqlite"
import { MYSQL, SQLITE } from "../../src/internal/SqlGrammar.ts"

const TIME = 1_772_366_400_000_001

/** How MySQL stores a value in a column of a declared type; undefined if it cannot. */
const inMysql = (declared: string, type: ColumnType, value: number | string) => {
  const storing = MYSQL.storing(
    { name: "x", type: declared, isNotNull: false, isRequired: false, isStrict: true },
    type
  )
  return storing === undefined ? undefined : storing.convert === undefined ? value : storing.convert(value)
}

it.each<readonly [string, string | number | undefined]>([
  ["datetime", "2026-03-01 12:00:00.000001"],
  ["timestamp", "2026-03-01 12:00:00.000001"],
  ["date", "2026-03-01"],
  ["varchar", "2026-03-01T12:00:00.000001Z"],
  ["bigint", TIME],
  ["double", TIME],
  ["int", undefined],
  ["time", undefined],
  ["blob", undefined]
])("stores a time in MySQL's %s as %o", (declared, stored) => {
  assert.strictEqual(inMysql(declared, "timestamp", TIME), stored)
})

it.each<readonly [string, string | undefined, string | undefined]>([
  ["double", "float", undefined],
  // The server rounds.
  ["mediumint", "float", undefined],
  ["varchar", "text", "text"],
  ["enum", undefined, "text"],
  ["json", "text", "text"],
  ["datetime", undefined, undefined],
  ["varbinary", undefined, undefined],
  ["point", undefined, undefined]
])("takes a number in MySQL's %s as %s, and a text as %s", (declared, number, text) => {
  const column = { name: "x", type: declared, isNotNull: false, isRequired: false, isStrict: true }
  assert.strictEqual(MYSQL.storing(column, "float")?.type, number)
  assert.strictEqual(MYSQL.storing(column, "text")?.type, text)
})

it("leaves to MySQL what MySQL computes, and no column that only has a default", () => {
  // SQLite runs the query on what MySQL says of such a table.
  const database = new DatabaseSync(":memory:")
  database.function("database", () => "lab")
  database.exec(
    `ATTACH ':memory:' AS information_schema;
    CREATE TABLE information_schema.columns (ordinal_position, table_schema, table_name, column_name, data_type, is_nullable,
      column_default, extra);
    INSERT INTO information_schema.columns VALUES
      (1, 'lab', 'flows', 'id', 'bigint', 'NO', NULL, 'auto_increment'),
      (2, 'lab', 'flows', 'requested_at', 'datetime', 'NO', 'CURRENT_TIMESTAMP', 'DEFAULT_GENERATED'),
      (3, 'lab', 'flows', 'received_at', 'datetime', 'YES', NULL, 'DEFAULT_GENERATED on update CURRENT_TIMESTAMP'),
      (4, 'lab', 'flows', 'Mass_Flow', 'double', 'NO', NULL, ''),
      (5, 'lab', 'flows', 'doubled', 'double', 'YES', NULL, 'VIRTUAL GENERATED'),
      (6, 'lab', 'flows', 'halved', 'double', 'YES', NULL, 'STORED GENERATED')`
  )
  const columns = database.prepare(MYSQL.columnsQuery).all("flows")
  database.close()
  assert.deepStrictEqual(columns.map((column) => Object.values(column)), [
    ["id", "bigint", 1, 0, 1, 1],
    ["requested_at", "datetime", 1, 0, 1, 1],
    ["received_at", "datetime", 0, 0, 0, 1],
    ["Mass_Flow", "double", 1, 1, 0, 1]
  ])
})

it("stores JSON in MySQL's json", () => {
  assert.strictEqual(inMysql("json", "text", "N2"), "\"N2\"")
})

it("SQLite holds no NaN in a column of floats, and MySQL no infinity either", () => {
  const values = [100, Number.NaN, Number.POSITIVE_INFINITY]
  assert.deepStrictEqual(values.map(SQLITE.holdsFloat), [true, false, true])
  assert.deepStrictEqual(values.map(MYSQL.holdsFloat), [true, false, false])
})

it("quotes names as each database does", () => {
  assert.strictEqual(SQLITE.quoted("a\"b`c"), "\"a\"\"b`c\"")
  assert.strictEqual(MYSQL.quoted("a\"b`c"), "`a\"b``c`")
})
