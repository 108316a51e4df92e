/**
 * Parquet files, by the package `hyparquet`. Positions are row numbers.
 *
 * A finished file is read by its footer. One that is still written, or that a killed recorder has left, is read up to its last finished row
 * group: the groups file beside it has what the footer would say. Files of other programs are read if they have our columns.
 *
 * A row group is decoded as a whole, column by column, and the last two are kept. Other work goes on between two columns. The footer is
 * read in one piece when a file is opened: some 0.1 ms for each row group.
 */
import { type EventRow, isNotInstalled, messageOf } from "@sampleline/core"
import type { UnitsOfDevice } from "@sampleline/sinks/Reading"
import {
  completedBy,
  type UnfinishedContent,
  unfinishedName,
  UnfinishedParquet
} from "@sampleline/sinks/UnfinishedParquet"
import { Effect, Option, Predicate, Result, type Scope, Stream } from "effect"
import type * as Hyparquet from "hyparquet"
import * as fs from "node:fs"
import { promisify } from "node:util"
import { foreignProblem, recordedColumns } from "./internal/Columns.ts"
import { DamagedContent, ForeignContent, readError } from "./internal/failures.ts"
import { COMPRESSORS, PARSERS, sliceOf, typeOf, valuesOf } from "./internal/parquetValues.ts"
import { ReadError } from "./ReadError.ts"
import {
  BATCH_ROWS,
  type ColumnValues,
  type Recorded,
  type RecordedColumn,
  type SampleBatch,
  type SampleOptions
} from "./Recorded.ts"

type Driver = typeof Hyparquet
type RowGroup = Hyparquet.RowGroup
type SchemaElement = Hyparquet.SchemaElement

/** Opens `run.parquet`, or `run.parquet.partial` if there is nothing under that name yet, or the other way round. */
export const open = Effect.fnUntraced(function*(place: string): Effect.fn.Return<Recorded, ReadError, Scope.Scope> {
  const hyparquet = yield* Effect.tryPromise({
    try: () => import("hyparquet"),
    catch: (cause) => dependencyError(place, cause)
  })
  const file = yield* openFile(place)
  const contents = contentsOf(hyparquet, file)
  // What cannot be read at all is refused now.
  yield* contents

  const decoded = new DecodedGroups(hyparquet, file)
  return {
    format: "parquet",
    place: file.place,
    columns: Effect.map(contents, ({ columns }) => columns.map(({ column }) => column)),
    events: Stream.fromIterableEffect(Effect.map(contents, ({ events }) => events())),
    extent: Effect.map(contents, ({ starts }) => ({ first: 0, end: starts.at(-1)! })),
    samples: (options = {}) => Stream.unwrap(Effect.map(contents, (contents) => samplesIn(contents, decoded, options)))
  }
})

/** What a file holds at some time. */
interface Contents {
  readonly columns: ReadonlyArray<StoredColumn>
  readonly groups: ReadonlyArray<RowGroup>
  /** The first row of each row group, and the number of rows. */
  readonly starts: ReadonlyArray<number>
  readonly events: () => ReadonlyArray<EventRow>
}

/** A column, and how the file stores it. */
interface StoredColumn {
  readonly column: RecordedColumn
  readonly element: SchemaElement
}

/** An open file. */
interface OpenFile {
  readonly place: string
  /** The name that it has when it is complete. */
  readonly path: string
  readonly fd: number
}

const PARTIAL = unfinishedName("")

const openFile = Effect.fnUntraced(function*(place: string): Effect.fn.Return<OpenFile, ReadError, Scope.Scope> {
  const path = place.endsWith(PARTIAL) ? place.slice(0, -PARTIAL.length) : place
  const others = [path, unfinishedName(path)]
  const fd = yield* Effect.acquireRelease(
    attempt(place, () => fs.openSync([place, ...others].find((name) => fs.existsSync(name)) ?? place, "r")),
    (fd) => Effect.sync(() => fs.closeSync(fd))
  )
  return { place, path, fd }
})

/** What an open file holds now. */
const contentsOf = (hyparquet: Driver, file: OpenFile): Effect.Effect<Contents, ReadError> => {
  const unfinished = new UnfinishedParquet(file.path, file.fd)
  let complete: Contents | undefined
  let last: Contents | undefined
  return Effect.gen(function*() {
    if (complete !== undefined) return complete
    const content = yield* attempt(file.place, () => unfinished.read())
    if (content !== null) return last = inUnfinished(content)
    const found = yield* Effect.result(footerContents(hyparquet, file))
    if (Result.isSuccess(found)) return complete = found.success
    // Its recorder may go on with it under another name.
    return last ?? (yield* found.failure)
  })
}

const footerContents = Effect.fnUntraced(function*(
  hyparquet: Driver,
  { fd, path, place }: OpenFile
): Effect.fn.Return<Contents, ReadError> {
  const begin = yield* attempt(place, () => firstBytes(fd))
  if (begin !== MAGIC) return yield* readError(place)(new ForeignContent({ message: "it is not a Parquet file" }))
  const contents = yield* Effect.tryPromise({
    try: () =>
      hyparquet.parquetMetadataAsync(sourceOf(fd), { parsers: PARSERS }).then((footer) => inFooter(hyparquet, footer)),
    catch: damaged(
      place,
      (cause) => `its footer cannot be read (${cause}); ${NEXT_STEP[completedBy(path) ?? "nobody"]}`
    )
  })
  const problem = foreignProblem(contents.columns.map(({ column }) => column.name))
  return problem === null ? contents : yield* readError(place)(new ForeignContent({ message: problem }))
})

const NEXT_STEP = {
  journal: "complete it by `sampleline resume`",
  append: "complete it by a recording to the same name with --append",
  nobody: "use a copy of it, or another output of its run"
}

const MAGIC = "PAR1"

const firstBytes = (fd: number): string => {
  const bytes = Buffer.alloc(MAGIC.length)
  return bytes.toString("latin1", 0, fs.readSync(fd, bytes, 0, bytes.length, 0))
}

const inFooter = ({ parquetSchema }: Driver, footer: Hyparquet.FileMetaData): Contents => {
  const metadata = Object.fromEntries((footer.key_value_metadata ?? []).map(({ key, value = "" }) => [key, value]))
  const elements = parquetSchema(footer).children.map(({ element }) => element)
  const events: ReadonlyArray<EventRow> = JSON.parse(metadata["events"] ?? "[]")
  return contentOf(elements, footer.row_groups, metadata, () => events)
}

const inUnfinished = ({ groups, metadata, schema: [, ...elements] }: UnfinishedContent): Contents =>
  contentOf(elements, groups.map(({ group }) => group), metadata, () => groups.flatMap(({ events }) => events))

const contentOf = (
  all: ReadonlyArray<SchemaElement>,
  groups: ReadonlyArray<RowGroup>,
  metadata: { readonly [key: string]: string },
  events: Contents["events"]
): Contents => {
  const elements = all.filter((element) => typeOf(element) !== null)
  const columns = recordedColumns(
    elements.map((element) => ({ name: element.name, type: typeOf(element)! })),
    devicesIn(metadata)
  )
  const starts = [0]
  for (const { num_rows } of groups) starts.push(starts.at(-1)! + Number(num_rows))
  return { columns: columns.map((column, at) => ({ column, element: elements[at]! })), groups, starts, events }
}

/** The devices and their units, as the sink describes them. */
const devicesIn = (metadata: { readonly [key: string]: string }): ReadonlyArray<UnitsOfDevice> => {
  const devices: ReadonlyArray<DescribedDevice> = JSON.parse(metadata["devices"] ?? "[]")
  return devices.map(({ columns, device }) => ({
    device,
    columns: Object.entries(columns).map(([column, { unit }]) => ({ column, unit }))
  }))
}

interface DescribedDevice {
  readonly device: string
  readonly columns: { readonly [column: string]: { readonly unit: string | null } }
}

const samplesIn = (
  { columns, groups, starts }: Contents,
  decoded: DecodedGroups,
  { batchRows = BATCH_ROWS, columns: names, from = 0, to = Infinity }: SampleOptions
): Stream.Stream<SampleBatch, ReadError> => {
  const wanted = columns.filter(({ column }) => names === undefined || names.includes(column.name))
  const end = Math.min(to, starts.at(-1)!)
  return Stream.paginate(
    Math.max(0, Math.ceil(from)),
    Effect.fnUntraced(function*(row: number) {
      if (row >= end) return [[], Option.none()]
      const at = starts.findLastIndex((start) => start <= row)
      const values = yield* decoded.get(groups[at]!, wanted)
      const last = Math.min(end, starts[at + 1]!)
      return [batchesOf(values, { first: starts[at]!, from: row, to: last }, batchRows), Option.some(last)]
    })
  )
}

/** The rows of a row group, which begins with row `first`, as batches. */
const batchesOf = (
  values: ReadonlyMap<string, ColumnValues>,
  { first, from, to }: { readonly first: number; readonly from: number; readonly to: number },
  batchRows: number
): ReadonlyArray<SampleBatch> =>
  Array.from({ length: Math.ceil((to - from) / batchRows) }, (_, n) => {
    const start = from + n * batchRows
    const end = Math.min(to, start + batchRows)
    const columns = new Map<string, ColumnValues>()
    for (const [name, column] of values) columns.set(name, sliceOf(column, start - first, end - first))
    return { from: start, to: end, rows: end - start, columns }
  })

const KEPT_GROUPS = 2

/** Row groups as columns. Those that were used last are kept. */
class DecodedGroups {
  private readonly hyparquet: Driver
  private readonly file: OpenFile
  private readonly kept = new Map<RowGroup, Map<string, ColumnValues>>()

  constructor(hyparquet: Driver, file: OpenFile) {
    this.hyparquet = hyparquet
    this.file = file
  }

  /** Some columns of a row group. */
  get(
    group: RowGroup,
    columns: ReadonlyArray<StoredColumn>
  ): Effect.Effect<ReadonlyMap<string, ColumnValues>, ReadError> {
    return Effect.gen({ self: this }, function*() {
      const known = this.kept.get(group) ?? new Map<string, ColumnValues>()
      this.kept.delete(group)
      this.kept.set(group, known)
      for (const other of this.kept.keys()) if (this.kept.size > KEPT_GROUPS) this.kept.delete(other)
      const found = new Map<string, ColumnValues>()
      for (const stored of columns) {
        const { name } = stored.column
        const values = known.get(name) ?? (yield* this.decode(group, stored))
        known.set(name, values)
        found.set(name, values)
      }
      return found
    })
  }

  private decode(
    group: RowGroup,
    { column: { name, type }, element }: StoredColumn
  ): Effect.Effect<ColumnValues, ReadError> {
    const { fd, place } = this.file
    return Effect.tryPromise({
      try: () => decodeColumn(this.hyparquet, sourceOf(fd), group, element),
      catch: damaged(place, (cause) => `its column ${name} cannot be read: ${cause}`)
    }).pipe(Effect.map((values) => valuesOf(type, values)))
  }
}

/** The values of a column of a row group. The rest of a footer would be gone through each time, so there is none. */
const decodeColumn = (
  { parquetScan }: Driver,
  file: Hyparquet.AsyncBuffer,
  group: RowGroup,
  element: SchemaElement
): Promise<ArrayLike<unknown>> => {
  const rowEnd = Number(group.num_rows)
  const columns = group.columns.filter(({ meta_data }) => meta_data?.path_in_schema[0] === element.name)
  const metadata = {
    version: 2,
    schema: [{ name: "root", num_children: 1 }, element],
    num_rows: group.num_rows,
    row_groups: [{ ...group, columns }],
    metadata_length: 0
  }
  return parquetScan({ file, metadata, parsers: PARSERS, compressors: COMPRESSORS })
    .then((scan) => scan.readColumn({ column: element.name, rowStart: 0, rowEnd }))
}

const read = promisify(fs.read)

/** An open file for `hyparquet`. */
const sourceOf = (fd: number): Hyparquet.AsyncBuffer => {
  const byteLength = fs.fstatSync(fd).size
  return {
    byteLength,
    slice: (start, end = byteLength) => {
      const bytes = new Uint8Array(end - start)
      return read(fd, bytes, 0, bytes.length, start).then(() => bytes.buffer)
    }
  }
}

/** What the file system or the package throws. */
const damaged = (place: string, detail: (cause: string) => string) => (cause: unknown): ReadError =>
  readError(place)(
    Predicate.hasProperty(cause, "syscall") ? cause : new DamagedContent({ message: detail(messageOf(cause)) })
  )

/** A call of the file system. */
const attempt = <A>(place: string, run: () => A): Effect.Effect<A, ReadError> =>
  Effect.try({ try: run, catch: readError(place) })

const dependencyError = (place: string, cause: unknown): ReadError =>
  new ReadError({
    place,
    reason: "Dependency",
    detail: isNotInstalled(cause)
      ? "Parquet is read by the package hyparquet, which is not installed; run `npm install hyparquet`"
      : `the package hyparquet cannot be loaded: ${messageOf(cause)}`,
    cause
  })
