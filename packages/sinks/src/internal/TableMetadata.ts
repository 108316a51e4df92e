/**
 * `<file>-metadata.json` beside a text file: its columns, their types and units, the runs and the devices. The form is that of
 * the W3C's "CSV on the Web" (https://www.w3.org/TR/tabular-metadata/); its readers look for this name.
 *
 * It is written to a temporary file and renamed, so a reader never sees half of it. A damaged one of ours is written anew; the
 * runs that it described are lost.
 */
import { type Column, type ColumnType, messageOf, type Sample, type SchemaLock } from "@sampleline/core"
import { Effect, Predicate } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { describeDevices, runJson, unitsOf } from "./Description.ts"
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
  const file = `${target}-metadata.json`
  const warn = (detail: string) => Effect.logWarning(`${sink} ${target}: ${file} was not written: ${detail}`)
  return Effect.try({
    try: () => {
      const existing = readMetadata(file)
      if (existing === "foreign") return false
      const earlier = options.isAppending && Array.isArray(existing["notes"]) ? existing["notes"] : []
      replaceFile(file, `${JSON.stringify(describe(target, batch, options, earlier), null, 2)}\n`)
      return true
    },
    catch: messageOf
  }).pipe(
    Effect.matchEffect({
      onSuccess: (isOurs) => isOurs ? Effect.void : warn("another program made the file that is there"),
      onFailure: warn
    })
  )
}

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
    fs.rmSync(temporary, { force: true })
    throw error
  }
}

const describe = (
  target: string,
  batch: ReadonlyArray<Sample>,
  { columns, dialect, lock }: Parameters<typeof writeTableMetadata>[2],
  earlierRuns: ReadonlyArray<unknown>
) => {
  const devices = describeDevices(batch, lock)
  const run = runJson(batch, devices)
  return {
    "@context": CONTEXT,
    "url": encodeURIComponent(path.basename(target)),
    "dc:creator": CREATOR,
    ...(dialect === undefined ? {} : { dialect }),
    "tableSchema": {
      columns: columns.map(({ name, nullable, type }) => {
        const unit = unitsOf(name, devices)
        return {
          titles: name,
          datatype: DATATYPES[type],
          required: !nullable && type !== "text",
          ...(unit === "" ? {} : { "schema:unitText": unit })
        }
      })
    },
    "notes": [...earlierRuns.filter((earlier) => !isRun(earlier, run.run_id)), run]
  }
}

const isRun = (note: unknown, id: string): boolean =>
  Predicate.isObject(note) && "run_id" in note && note["run_id"] === id
