/**
 * `<file>-metadata.json` beside a text file: its columns, their types and units, the runs and the devices. The form is that of
 * the W3C's "CSV on the Web" (https://www.w3.org/TR/tabular-metadata/); its readers look for this name.
 *
 * A file that is appended to keeps what is known of the runs before. A column has the units of all of them, and there is one warning
 * if a run brings others.
 *
 * It is written to a temporary file and renamed, so a reader never sees half of it. A damaged one of ours is written anew; the
 * runs that it described are lost.
 */
import { type Column, type ColumnType, messageOf, type Sample, type SchemaLock } from "@sampleline/core"
import { removeFile } from "@sampleline/sqlite"
import { Effect, Option, Predicate, Schema } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { describeDevices, runJson, unitsOf, type UnitsOfDevice } from "./Description.ts"
import type { Writer } from "./FileFailure.ts"
import { followLinks } from "./OutputFile.ts"

const CONTEXT = "http://www.w3.org/ns/csvw"

/** Marks the files that we wrote. A file of another program is not replaced. */
const CREATOR = "sampleline"

const DATATYPES: { readonly [type in ColumnType]: string } = {
  text: "string",
  float: "double",
  int: "integer",
  timestamp: "dateTimeStamp",
  any: "any"
}
const COLUMN_TYPES = Object.keys(DATATYPES) as ReadonlyArray<ColumnType>

/** Describes a file after its first batch. If the description cannot be written there is a warning, and recording goes on. */
export const writeTableMetadata = (
  { sink, target }: Writer,
  batch: ReadonlyArray<Sample>,
  options: {
    /** In the file's order. */
    readonly columns: ReadonlyArray<Column>
    /** The lock that gave the columns their names, if there is one. */
    readonly lock?: SchemaLock | undefined
    /** Whether to keep the runs that are described already. */
    readonly isAppending: boolean
    /** How to read the file, where it differs from a reader's defaults. */
    readonly dialect?: { readonly [key: string]: unknown } | undefined
  }
): Effect.Effect<void> => {
  const file = metadataOf(target)
  const warn = (text: string) => Effect.logWarning(`${sink} ${target}: ${text}`)
  return Effect.try({
    try: () => {
      const existing = readMetadata(file)
      if (existing === "foreign") return existing
      const devices = describeDevices(batch, options.lock)
      const run = runJson(batch, devices)
      const earlier = options.isAppending ? earlierIn(existing, run.run_id) : NOTHING
      const columns = mergeColumns(earlier, options.columns, devices)
      const metadata = {
        "@context": CONTEXT,
        "url": encodeURIComponent(path.basename(target)),
        "dc:creator": CREATOR,
        ...(options.dialect === undefined ? {} : { dialect: options.dialect }),
        "tableSchema": { columns },
        "notes": [...earlier.runs, run]
      }
      replaceFile(file, `${JSON.stringify(metadata, null, 2)}\n`)
      return changedUnits(columns.map(({ titles }) => titles), earlier.devices, devices)
    },
    catch: messageOf
  }).pipe(
    Effect.matchEffect({
      onSuccess: (changes) => {
        if (changes === "foreign") return warn(`${file} was not written: another program made the file that is there`)
        if (changes.length === 0) return Effect.void
        return warn(
          `its runs differ in units: ${changes.join("; ")}. Tell the runs apart by their times and units in ${file}`
        )
      },
      onFailure: (detail) => warn(`${file} was not written: ${detail}`)
    })
  )
}

/** What a description says of a file: the columns of all its runs, and the units of their devices, the last run's last. */
export interface TableDescription {
  readonly columns: ReadonlyArray<{ readonly name: string; readonly type: ColumnType }>
  readonly devices: ReadonlyArray<UnitsOfDevice>
}

/** The description of a file; null if there is none that we wrote. */
export const readTableMetadata = (target: string): TableDescription | null => {
  const metadata = readMetadata(metadataOf(target))
  if (metadata === "foreign") return null
  const { columns, devices, runs } = earlierIn(metadata, "")
  const typeOf = (datatype: string) => COLUMN_TYPES.find((type) => DATATYPES[type] === datatype) ?? "any"
  return runs.length === 0 ? null : {
    columns: columns.map(({ datatype, titles }) => ({ name: titles, type: typeOf(datatype) })),
    devices
  }
}

const metadataOf = (target: string): string => `${target}-metadata.json`

type Metadata = { readonly [key: string]: unknown }

/** What we wrote before; empty if the file is missing or damaged. */
const readMetadata = (file: string): Metadata | "foreign" => {
  if (!fs.existsSync(file)) return {}
  const text = fs.readFileSync(file, "utf8")
  const parsed = parse(text)
  if (parsed === undefined) return beginsLikeOurs(text) ? {} : "foreign"
  return Predicate.isObject(parsed) && "dc:creator" in parsed && parsed["dc:creator"] === CREATOR ? parsed : "foreign"
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Whether a damaged file is ours, as far as it goes. A power cut can leave NULs, or nothing. */
const beginsLikeOurs = (damaged: string): boolean => {
  let rest = damaged.replace(/\0+$/, "")
  for (const part of [`{\n  "@context": "${CONTEXT}",\n  "url": "`, `",\n  "dc:creator": "${CREATOR}"`]) {
    if (!rest.startsWith(part)) return part.startsWith(rest)
    rest = rest.slice(part.length).replace(/^[^"]*/, "")
  }
  return true
}

/** Writes a file whole, or leaves the old one. */
const replaceFile = (name: string, text: string): void => {
  const file = followLinks(name)
  const temporary = `${file}.partial`
  try {
    const mode = fs.statSync(file, { throwIfNoEntry: false })?.mode
    fs.writeFileSync(temporary, text, mode === undefined ? {} : { mode })
    fs.renameSync(temporary, file)
  } catch (error) {
    removeFile(temporary)
    throw error
  }
}

const DescribedColumns = Schema.Array(Schema.Struct({
  titles: Schema.String,
  datatype: Schema.String,
  required: Schema.Boolean
}))

const DescribedRun = Schema.Struct({
  devices: Schema.Array(Schema.Struct({
    device: Schema.String,
    columns: Schema.Record(Schema.String, Schema.Struct({ unit: Schema.NullOr(Schema.String) }))
  }))
})

/** What is known of the runs before. */
interface Earlier {
  readonly columns: typeof DescribedColumns.Type
  /** As they are in the file. */
  readonly runs: ReadonlyArray<unknown>
  readonly devices: ReadonlyArray<UnitsOfDevice>
}

const NOTHING: Earlier = { columns: [], runs: [], devices: [] }

/** The runs but this one, and the columns. What is not as we write it is kept, and tells nothing. */
const earlierIn = ({ notes, tableSchema }: Metadata, thisRun: string): Earlier => {
  const runs = Array.isArray(notes) ? notes.filter((note) => !isRun(note, thisRun)) : []
  const columns = Predicate.hasProperty(tableSchema, "columns") ? tableSchema.columns : []
  return {
    runs,
    columns: Option.getOrElse(Schema.decodeUnknownOption(DescribedColumns)(columns), () => []),
    devices: runs.flatMap(devicesIn)
  }
}

const devicesIn = (run: unknown): ReadonlyArray<UnitsOfDevice> =>
  Option.match(Schema.decodeUnknownOption(DescribedRun)(run), {
    onNone: () => [],
    onSome: ({ devices }) =>
      devices.map(({ columns, device }) => ({
        device,
        columns: Object.entries(columns).map(([column, { unit }]) => ({ column, unit }))
      }))
  })

const isRun = (note: unknown, id: string): boolean => Predicate.hasProperty(note, "run_id") && note.run_id === id

/** The columns of all runs. Lines of JSON may have others in each run: a column that one of them lacks is not required. */
const mergeColumns = (earlier: Earlier, columns: ReadonlyArray<Column>, devices: ReadonlyArray<UnitsOfDevice>) => {
  const now = columns.map(({ name, nullable, type }) => ({
    titles: name,
    datatype: DATATYPES[type],
    required: !nullable && type !== "text"
  }))
  const before = earlier.runs.length === 0 ? now : earlier.columns
  const titles = new Set([...before, ...now].map((column) => column.titles))
  return [...titles].map((name) => {
    const known = [before, now].map((columns) => columns.find((column) => column.titles === name))
    const [datatype = DATATYPES.any, ...others] = new Set(known.flatMap((column) => column?.datatype ?? []))
    const unit = unitsOf(name, [...earlier.devices, ...devices])
    return {
      titles: name,
      datatype: others.length === 0 ? datatype : DATATYPES.any,
      required: known.every((column) => column?.required === true),
      ...(unit === "" ? {} : { "schema:unitText": unit })
    }
  })
}

/** What to say of the columns that had other units in the runs before. */
const changedUnits = (
  names: ReadonlyArray<string>,
  before: ReadonlyArray<UnitsOfDevice>,
  now: ReadonlyArray<UnitsOfDevice>
): ReadonlyArray<string> =>
  names.flatMap((name) => {
    const [old, current] = [unitsOf(name, before), unitsOf(name, now)]
    return old === "" || current === "" || old === current
      ? []
      : [`column ${name} was ${old} before, and is ${current} now`]
  })
