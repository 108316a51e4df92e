/**
 * A Postgres table and how samples become its rows: reading its columns, making it, and inserting. Works with any `SqlClient`
 * of the Postgres dialect. Schema and table are checked identifiers, column names are quoted, values are always parameters.
 */
import { type Cell, type Column, type ColumnType, type RowOptions, type Sample, SchemaLock } from "@sampleline/core"
import { Effect } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { quoted } from "./identifiers.ts"
import { inTransaction } from "./inTransaction.ts"
import { storedNames } from "./PostgresNames.ts"
import { canHold, convertTime, convertValue, kindOf, type PostgresKind, toArrayText } from "./PostgresTypes.ts"
import { descriptionOf, eventsOf, runsOf } from "./RunTables.ts"
import { type ExistingColumn, fitTable, type Storing, type TableFit, type TableProblem } from "./TableFit.ts"

export interface TableName {
  readonly schema: string
  readonly table: string
}

/** An existing table. */
export interface PostgresTable {
  readonly columns: ReadonlyArray<TableField>
  /** Whether COPY does the same as inserts: not for views, and not for tables with row-level security or rules. */
  readonly canCopy: boolean
  readonly canInsert: boolean
}

interface TableField extends ExistingColumn {
  /** The number of the column's own type in the catalogue. */
  readonly typeId: string
  /** The name of the type in the catalogue; for a domain that of its base type. */
  readonly baseType: string
  /** The type as written in a statement. */
  readonly sqlType: string
  /** The statement that lets the user write the type in a statement; null if the user may. COPY needs no such right. */
  readonly missingGrant: string | null
  readonly modifier: number
  /** The labels of an enum. */
  readonly labels: ReadonlyArray<string> | null
  /** Whether the database computes its values. */
  readonly isGenerated: boolean
  /** Whether the user may write it. */
  readonly isInsertable: boolean
}

/** The table in the catalogue, and what the user may do. `table` is null if there is none. */
export const readTable = Effect.fnUntraced(function*(
  sql: SqlClient,
  { schema, table }: TableName
): Effect.fn.Return<{
  readonly table: PostgresTable | null
  readonly hasSchema: boolean
  readonly canCreate: boolean
}, SqlError> {
  const [found] = yield* sql.unsafe<{ readonly hasSchema: boolean; readonly canCreate: boolean }>(
    `SELECT to_regnamespace(quote_ident($1)) IS NOT NULL AS "hasSchema", `
      + `coalesce(has_schema_privilege(to_regnamespace(quote_ident($1)), 'CREATE'), false) AS "canCreate"`,
    [schema]
  )
  const fields = yield* sql.unsafe<
    TableField & { readonly kind: string; readonly isSecured: boolean; readonly hasRules: boolean }
  >(
    // A domain has the type at the end of its chain, and all limits on the way there.
    `SELECT a.attname::text AS "name", a.atttypid::text AS "typeId", base.name AS "baseType",
        format_type(a.atttypid, a.atttypmod) AS "type",
        quote_ident(n2.nspname) || '.' || quote_ident(t.typname) AS "sqlType",
        CASE WHEN NOT has_schema_privilege(n2.oid, 'USAGE')
          THEN format('GRANT USAGE ON SCHEMA %I TO %I', n2.nspname, current_user) END AS "missingGrant",
        greatest(a.atttypmod, base.modifier) AS "modifier",
        (SELECT array_agg(e.enumlabel::text) FROM pg_catalog.pg_enum e WHERE e.enumtypid = base.oid) AS "labels",
        (a.attnotnull OR base.is_required) AS "isNotNull",
        (a.attnotnull OR base.is_required) AND NOT a.atthasdef AND NOT base.has_default AND a.attidentity = '' AS "isRequired",
        a.atthasdef OR base.has_default OR a.attidentity <> '' AS "hasDefault",
        a.attgenerated <> '' OR a.attidentity = 'a' AS "isGenerated",
        has_column_privilege(c.oid, a.attnum, 'INSERT') AS "isInsertable",
        c.relkind::text AS "kind", row_security_active(c.oid) AS "isSecured", c.relhasrules AS "hasRules"
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
      JOIN pg_catalog.pg_namespace n2 ON n2.oid = t.typnamespace
      CROSS JOIN LATERAL (
        WITH RECURSIVE chain AS (
          SELECT d.* FROM pg_catalog.pg_type d WHERE d.oid = t.oid
          UNION ALL
          SELECT d.* FROM chain JOIN pg_catalog.pg_type d ON d.oid = chain.typbasetype
        )
        SELECT max(typtypmod) AS modifier, bool_or(typnotnull) AS is_required,
          bool_or(typdefault IS NOT NULL) AS has_default,
          max(typname::text) FILTER (WHERE typbasetype = 0) AS name,
          (array_agg(oid) FILTER (WHERE typbasetype = 0))[1] AS oid
        FROM chain
      ) base
      WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'f')
      ORDER BY a.attnum`,
    [schema, table]
  )
  return {
    hasSchema: found!.hasSchema,
    canCreate: found!.canCreate,
    table: fields.length === 0 ? null : {
      columns: fields,
      canCopy: fields.every((field) => field.kind !== "v" && !field.isSecured && !field.hasRules),
      canInsert: fields.some((field) => field.isInsertable)
    }
  }
})

/** How the samples of a run become rows of a table. */
export interface TableRows extends Pick<TableFit<TableField>, "lock" | "notNull" | "losses"> {
  /** Whether they are written by COPY; if not, by inserts. */
  readonly byCopy: boolean
  /** For each locked column. */
  readonly kinds: ReadonlyArray<PostgresKind>
  readonly fields: ReadonlyArray<TableField>
}

/** Locks to the columns that the table and the run share, or says why the table cannot be used. Without COPY they are inserted. */
export const rowsOf = (
  { canCopy, columns }: PostgresTable,
  batch: ReadonlyArray<Sample>,
  options: RowOptions,
  useCopy: boolean
): TableRows | TableProblem => {
  const names = storedNames(lockOfNew(batch, options).columns)
  const fit = fitTable({
    table: "the table",
    existing: columns.filter((column) => !column.isGenerated),
    batch,
    options,
    storing: storedInPostgres,
    nameInTable: (name) => names.get(name)!
  })
  if ("problem" in fit) return fit
  const { columns: fields, ...fitted } = fit
  const byCopy = useCopy && canCopy
  const hidden = byCopy ? undefined : fields.find(({ missingGrant }) => missingGrant !== null)
  if (hidden !== undefined) {
    const { missingGrant, name, type } = hidden
    return { problem: `its column ${name} is of type ${type}, and inserts need its schema: ${missingGrant}` }
  }
  return { ...fitted, byCopy, kinds: fields.map((field) => kindOfField(field)!), fields }
}

const kindOfField = ({ baseType, labels }: TableField): PostgresKind | undefined => kindOf(baseType, labels !== null)

const storedInPostgres = (field: TableField, type: ColumnType): Storing | undefined => {
  const { labels, modifier } = field
  const kind = kindOfField(field)
  if (kind === undefined || !canHold(kind, modifier, labels, type)) return undefined
  return {
    type: columnTypes[kind],
    convert: type === "timestamp" ? convertTime(kind) : convertValue(kind, modifier, labels)
  }
}

/** The type of a row's column for each kind. */
const columnTypes: { readonly [kind in PostgresKind]: Column["type"] } = {
  float8: "float",
  float4: "float",
  numeric: "float",
  int2: "int",
  int4: "int",
  int8: "int",
  text: "text",
  timestamptz: "timestamp",
  timestamp: "timestamp",
  bool: "int",
  json: "text",
  jsonb: "text",
  uuid: "text"
}

/** Two sinks that make tables at once wait here for each other, until the end of the transaction. */
export const lockName = (sql: SqlClient, name: TableName): Effect.Effect<unknown, SqlError> =>
  sql.unsafe("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [qualified(name)])

export const qualified = ({ schema, table }: TableName): string => `${quoted(schema)}.${quoted(table)}`

const createdTypes: { readonly [type in Column["type"]]: string } = {
  text: "text",
  float: "double precision",
  int: "bigint",
  timestamp: "timestamptz",
  any: "text"
}

/** The columns of a new table. It always has the row ids. */
const lockOfNew = (batch: ReadonlyArray<Sample>, options: RowOptions): SchemaLock =>
  SchemaLock.fromBatch(batch, { ...options, rowIds: true })

/** The most columns that a table can have. */
const MAX_COLUMNS = 1600

/** Why no table can be made for these samples; null if one can. */
export const newTableProblem = (batch: ReadonlyArray<Sample>, options: RowOptions): string | null => {
  const { length } = lockOfNew(batch, options).columns
  return length <= MAX_COLUMNS
    ? null
    : `this run has ${length} columns, and a table takes at most ${MAX_COLUMNS}; record fewer fields, or record to a file`
}

/** Makes the table. Does nothing if another program has made it. */
export const createTable = Effect.fnUntraced(function*(
  sql: SqlClient,
  name: TableName,
  batch: ReadonlyArray<Sample>,
  options: RowOptions
): Effect.fn.Return<void, SqlError> {
  const lock = lockOfNew(batch, options)
  const names = storedNames(lock.columns)
  const columns = lock.columns.map((column) => `${quoted(names.get(column.name)!)} ${createdTypes[column.type]}`)
  const make = Effect.gen(function*() {
    yield* lockName(sql, name)
    const { table } = yield* readTable(sql, name)
    if (table !== null) return
    yield* sql.unsafe(`CREATE TABLE ${qualified(name)} (${columns.join(", ")})`)
    const { table: samples } = name
    yield* sql.unsafe(
      `COMMENT ON TABLE ${qualified(name)} IS 'Recorded by sampleline. Units and devices: ${descriptionOf(samples)}. `
        + `Runs: ${runsOf(samples)}, ${eventsOf(samples)}.'`
    )
  })
  yield* inTransaction(sql, make)
})

export const copyStatement = (name: TableName, { lock }: Pick<TableRows, "lock">): string =>
  `COPY ${qualified(name)} (${lock.columns.map((column) => quoted(column.name)).join(", ")}) FROM STDIN (FORMAT binary)`

/**
 * An expression that is true while the columns have the types that they had when they were locked, and else fails. The server
 * would take bytes of another type of the same length for values. It must come after what locks the table: a batch may wait
 * there while the table is altered. It needs no right to read the table.
 */
export const typesUnchanged = (name: TableName, { fields }: Pick<TableRows, "fields">): string => {
  const row = `(NULL::${qualified(name)})`
  const types = fields.map((field) => `pg_catalog.pg_typeof(${row}.${quoted(field.name)})`).join(", ")
  const locked = `{${fields.map(({ typeId }) => typeId).join(",")}}`
  return `(CASE WHEN ARRAY[${types}]::oid[] = '${locked}' THEN 'true' ELSE 'its columns have other types now' END)::boolean`
}

/** One statement for a batch. Each column is an array of the column's own type. */
export const insertRows = (
  sql: SqlClient,
  name: TableName,
  rows: TableRows,
  cells: ReadonlyArray<ReadonlyArray<Cell>>
): Effect.Effect<void, SqlError> => {
  const { fields, kinds, lock } = rows
  const columns = lock.columns.map((column) => quoted(column.name)).join(", ")
  const arrays = fields.map(({ sqlType }, at) => `$${at + 1}::text::${sqlType}[]`).join(", ")
  return Effect.asVoid(sql.unsafe(
    `INSERT INTO ${qualified(name)} (${columns}) SELECT * FROM unnest(${arrays}) WHERE ${typesUnchanged(name, rows)}`,
    kinds.map((kind, at) => toArrayText(kind, cells.map((row) => row[at]!)))
  ))
}

/** How the table has changed since its columns were locked, if that is why it refuses a batch; null if it is not. */
export const changeOf = (table: PostgresTable | null, { fields }: Pick<TableRows, "fields">): string | null => {
  if (table === null) return TABLE_GONE
  const now = new Map(table.columns.map((column) => [column.name, column]))
  for (const { name, type, typeId } of fields) {
    const found = now.get(name)
    if (found === undefined) return `its column ${name} is gone; make it again, or record to another table`
    if (found.typeId !== typeId && found.type === type) {
      return `its column ${name} is of another type ${type} now, made since the recording began; start the recording again`
    }
    if (found.typeId !== typeId) {
      return `its column ${name} is of type ${found.type} now, and was of type ${type}; change it back, or record to another table`
    }
  }
  return null
}

export const TABLE_GONE = "the table no longer exists; make it again"
