/**
 * Reads a table in Postgres as `PostgresSink` writes it. Address, password and encryption are found as the sink finds them.
 *
 * Each stream of samples is one read-only transaction, which sees the table as it was at its beginning. A position is where a row is
 * stored (its `ctid`): the number of its block times 65,536, and its number there. Postgres 14 and later go straight to it.
 *
 * A view, or a table with partitions or children, has no such places. Its positions are the numbers of the rows in the order in which
 * the server gives them, and reading from one passes over all rows before it.
 */
import type { EventRow, InvalidOptionError, SinkDependencyError, SinkOpenError } from "@sampleline/core"
import { descriptionOf, eventsOf, quoted, type TableDescription } from "@sampleline/sinks/Reading"
import {
  openPostgresReading,
  type PostgresQuery,
  postgresSettings,
  serverOpenError,
  SqlFailure
} from "@sampleline/sinks/ReadingPostgres"
import { Effect, Redacted, Stream } from "effect"
import { describedByEvents, fixedType, foreignProblem, recordedColumns, type TypedColumn } from "./internal/Columns.ts"
import { ForeignContent, readError } from "./internal/failures.ts"
import { batchOf, type Cells, DESCRIPTION_NAMES, EVENT_NAMES, eventOf, unitOf } from "./internal/Tables.ts"
import type { OpenFormat } from "./open.ts"
import { ReadError } from "./ReadError.ts"
import { BATCH_ROWS, type Extent } from "./Recorded.ts"

/** Opens a table by the URL of its server. */
export const open: OpenFormat = Effect.fnUntraced(function*(url, options) {
  const settings = yield* Effect.mapError(
    postgresSettings({ ...options, url: Redacted.make(url), useCopy: false }),
    failureAt("postgres://...")
  )
  const { schema, table, target: place } = settings
  const name = { schema, table }
  const failed = failureAt(place)
  const { snapshot } = yield* Effect.mapError(openPostgresReading("Reading", settings), failed)
  const look = <A>(run: (query: PostgresQuery) => Effect.Effect<A, Failure>) =>
    Effect.flatMap(snapshot, run).pipe(Effect.scoped, Effect.mapError(failed))
  yield* look((query) => tableIn(query, name))
  return {
    format: "postgres",
    place,
    columns: look((query) =>
      Effect.gen(function*() {
        const { columns } = yield* tableIn(query, name)
        return recordedColumns(columns, (yield* descriptionIn(query, name)).devices)
      })
    ),
    events: Stream.unwrap(Effect.map(look((query) => eventsIn(query, name)), Stream.fromIterable)),
    extent: look((query) => Effect.flatMap(tableIn(query, name), (table) => extentIn(query, table))),
    samples: ({ batchRows = BATCH_ROWS, columns: wanted, from = 0, to = Infinity } = {}) =>
      Stream.unwrap(Effect.gen(function*() {
        const query = yield* snapshot
        const table = yield* tableIn(query, name)
        const columns = table.columns.filter(({ name }) => wanted?.includes(name) ?? true)
        const part = { columns, batchRows, from: Math.ceil(from), to: Math.ceil(to) }
        return yield* (table.hasPlaces ? byPlace : byNumber)(query, table, part)
      })).pipe(Stream.mapError(failed))
  }
})

type Failure = SqlFailure | ForeignContent

interface TableName {
  readonly schema: string
  readonly table: string
}

interface TableColumn extends TypedColumn {
  /** The expression that reads it: a double, or text. */
  readonly sql: string
}

interface Table {
  /** As it is written in a statement. */
  readonly sql: string
  /** None if it is not made yet. */
  readonly columns: ReadonlyArray<TableColumn>
  /** Whether its rows are stored in one table, in which each has a place. */
  readonly hasPlaces: boolean
}

/** What is read of a table. */
interface Wanted {
  readonly columns: ReadonlyArray<TableColumn>
  readonly batchRows: number
  readonly from: number
  readonly to: number
}

const tableIn = Effect.fnUntraced(function*(
  query: PostgresQuery,
  name: TableName
): Effect.fn.Return<Table, Failure> {
  const columns = yield* columnsIn(query, name)
  const names = columns.map(([column]) => String(column))
  if (columns.length === 0) {
    // A new recording has events before its first samples.
    const events = yield* columnsIn(query, { ...name, table: eventsOf(name.table) })
    if (events.length === 0) {
      return yield* new ForeignContent({
        message: `there is no table ${name.schema}.${name.table}; check schema, table and permissions`
      })
    }
  }
  const problem = columns.length === 0 ? null : foreignProblem(names)
  if (problem !== null) return yield* new ForeignContent({ message: problem })
  return {
    sql: `${quoted(name.schema)}.${quoted(name.table)}`,
    columns: columns.map(([, type], at) => readingOf(names[at]!, String(type))),
    hasPlaces: columns.every(([, , hasPlaces]) => hasPlaces === true)
  }
})

/** The columns of a table: name, type, and whether the table has places. A domain has the type that it is made of. */
const columnsIn = (query: PostgresQuery, { schema, table }: TableName) =>
  query(
    `SELECT a.attname::text, coalesce(base.typname, t.typname)::text, c.relkind = 'r' AND NOT c.relhassubclass
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
      LEFT JOIN pg_catalog.pg_type base ON base.oid = t.typbasetype
      WHERE n.nspname = $1::text AND c.relname = $2::text
      ORDER BY a.attnum`,
    [schema, table]
  )

const readingOf = (name: string, type: string): TableColumn => {
  const column = quoted(name)
  switch (type) {
    case "timestamptz":
    case "timestamp":
      return { name, type: "timestamp", sql: `(extract(epoch FROM ${column}) * 1000000)::float8` }
    case "float8":
    case "float4":
    case "numeric":
    case "int2":
    case "int4":
    case "int8":
      return { name, type: fixedType(name) ?? "number", sql: `${column}::float8` }
    case "bool":
      return { name, type: "number", sql: `${column}::int::float8` }
    default:
      return { name, type: fixedType(name) ?? "text", sql: `${column}::text` }
  }
}

const descriptionIn = Effect.fnUntraced(function*(
  query: PostgresQuery,
  name: TableName
): Effect.fn.Return<TableDescription, Failure> {
  const rows = yield* rowsBeside(query, { ...name, table: descriptionOf(name.table) }, DESCRIPTION_NAMES)
  return rows === null
    ? describedByEvents(yield* eventsIn(query, name))
    : { columns: [], devices: rows.map(unitOf) }
})

const eventsIn = Effect.fnUntraced(function*(
  query: PostgresQuery,
  name: TableName
): Effect.fn.Return<ReadonlyArray<EventRow>, Failure> {
  const rows = yield* rowsBeside(query, { ...name, table: eventsOf(name.table) }, EVENT_NAMES)
  return (rows ?? []).map(eventOf)
})

/** The rows of a table beside the samples, times and JSON as text; null if it is not there with these columns. */
const rowsBeside = Effect.fnUntraced(function*(
  query: PostgresQuery,
  name: TableName,
  names: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyArray<Cells> | null, SqlFailure> {
  const types = new Map((yield* columnsIn(query, name)).map(([column, type]) => [column, type]))
  if (!names.every((column) => types.has(column))) return null
  const cells = names.map((column) =>
    types.get(column) === "timestamptz"
      ? `to_char(${quoted(column)} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
      : readingOf(column, String(types.get(column))).sql
  )
  return yield* query(`SELECT ${cells.join(", ")} FROM ${quoted(name.schema)}.${quoted(name.table)} ORDER BY ctid`)
})

const extentIn = Effect.fnUntraced(function*(
  query: PostgresQuery,
  { columns, hasPlaces, sql }: Table
): Effect.fn.Return<Extent, SqlFailure> {
  if (columns.length === 0) return { first: 0, end: 0 }
  if (!hasPlaces) {
    const [[count] = []] = yield* query(`SELECT count(*)::float8 FROM ${sql}`)
    return { first: 0, end: Number(count) }
  }
  const blocks = yield* blocksIn(query, sql)
  const edge = Effect.fnUntraced(function*(order: "ASC" | "DESC") {
    // Blocks at both ends can be empty: rows are deleted, and the server makes blocks before it fills them.
    for (let passed = 0, length = 1; passed < blocks; passed += length, length *= 2) {
      const [from, to] = order === "ASC" ? [passed, passed + length] : [blocks - passed - length, blocks - passed]
      const [[place] = []] = yield* query(
        `SELECT ctid::text AS place FROM ${sql} WHERE ctid >= $1::text::tid AND ctid < $2::text::tid ORDER BY ctid ${order} LIMIT 1`,
        [tid(Math.max(from, 0) * BLOCK), tid(to * BLOCK)]
      )
      if (place !== undefined) return positionOf(place)
    }
    return null
  })
  const first = yield* edge("ASC")
  const last = yield* edge("DESC")
  return first === null || last === null ? { first: 0, end: 0 } : { first, end: last + 1 }
})

/** The blocks that a table has. */
const blocksIn = (query: PostgresQuery, sql: string): Effect.Effect<number, SqlFailure> =>
  Effect.map(
    query("SELECT (pg_relation_size($1::text::regclass) / current_setting('block_size')::int)::float8", [sql]),
    ([row]) => Number(row?.[0])
  )

/** The positions of a block. */
const BLOCK = 65_536

const tid = (position: number): string => `(${Math.floor(position / BLOCK)},${position % BLOCK})`

const positionOf = (place: unknown): number => {
  const [block, number] = String(place).slice(1, -1).split(",")
  return Number(block) * BLOCK + Number(number)
}

/** At most so many blocks are read at once: 8 MB. */
const MOST_BLOCKS = 1024

/** Reads a few blocks at a time, as many as have a batch. */
const byPlace = Effect.fnUntraced(
  function*(query: PostgresQuery, table: Table, { batchRows, columns, from, to }: Wanted) {
    // Else a server that thinks that the table is short reads all of it.
    yield* query("SET LOCAL enable_seqscan = off")
    const end = table.columns.length === 0 ? 0 : Math.min(to, BLOCK * (yield* blocksIn(query, table.sql)))
    const cells = ["ctid::text AS place", ...columns.map(({ sql }) => sql)]
    const statement = `SELECT ${cells.join(", ")} FROM ${table.sql} `
      + "WHERE ctid >= $1::text::tid AND ctid < $2::text::tid ORDER BY ctid LIMIT $3::int8"
    return Stream.unfold(
      { at: from, blocks: 1 },
      Effect.fnUntraced(function*({ at, blocks }) {
        for (let position = at, length = blocks; position < end;) {
          const behind = Math.min(end, (Math.floor(position / BLOCK) + length) * BLOCK)
          const rows = yield* query(statement, [tid(position), tid(behind), batchRows])
          const isFull = rows.length === batchRows
          if (!isFull) length = Math.min(2 * length, MOST_BLOCKS)
          if (rows.length > 0) {
            const batch = batchOf(columns, rows, positionOf)
            return [batch, { at: isFull ? batch.to : behind, blocks: length }] as const
          }
          position = behind
        }
        return undefined
      })
    )
  }
)

/** Reads rows in the order of the server. */
const byNumber = Effect.fnUntraced(
  function*(query: PostgresQuery, { sql }: Table, { batchRows, columns, from, to }: Wanted) {
    const cells = ["(row_number() OVER () - 1)::float8", ...columns.map(({ sql }) => sql)]
    yield* query(`DECLARE samples NO SCROLL CURSOR FOR SELECT ${cells.join(", ")} FROM ${sql}`)
    if (from > 0) yield* query(`MOVE FORWARD ${from} FROM samples`)
    return Stream.unfold(
      from,
      Effect.fnUntraced(function*(at) {
        const rows = at < to ? yield* query(`FETCH FORWARD ${Math.min(batchRows, to - at)} FROM samples`) : []
        if (rows.length === 0) return undefined
        const batch = batchOf(columns, rows, Number)
        return [batch, batch.to] as const
      })
    )
  }
)

/** From any failure here. It holds no password: neither do its causes. */
const failureAt =
  (place: string) => (failure: Failure | InvalidOptionError | SinkDependencyError | SinkOpenError): ReadError => {
    const fail = (reason: ReadError["reason"], detail: string) =>
      new ReadError({ place, reason, detail, cause: failure })
    if (failure instanceof SqlFailure) return failureAt(place)(serverOpenError("Reading", place, failure))
    if (failure instanceof ForeignContent) return readError(place)(failure)
    switch (failure._tag) {
      case "InvalidOptionError":
        return fail("Unreachable", failure.message)
      case "SinkDependencyError":
        return fail("Dependency", `it is read by ${failure.missing}; install it: ${failure.install}`)
      case "SinkOpenError":
        return fail(
          UNREACHABLE.has(failure.reason) ? "Unreachable" : "Unreadable",
          failure.detail
        )
    }
  }

const UNREACHABLE: ReadonlySet<SinkOpenError["reason"]> = new Set([
  "AuthenticationFailed",
  "ConnectionRefused",
  "Timeout"
])
