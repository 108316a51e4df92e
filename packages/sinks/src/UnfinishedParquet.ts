/**
 * A Parquet file that has no footer yet: one that is still written, or that a killed recorder has left. The groups file beside it says what
 * its footer would say.
 */
import * as fs from "node:fs"
import { isAt } from "./internal/OutputFile.ts"
import { type FinishedGroup, GroupsReader, isWhole, readGroups } from "./internal/ParquetGroups.ts"
import { type SchemaElement, schemaOf } from "./internal/ParquetSchema.ts"
import { partialOf } from "./internal/PartialFile.ts"

/**
 * The name that a Parquet file has until it is complete.
 *
 * @since 0.1.0
 * @category conversions
 */
export const unfinishedName: (path: string) => string = partialOf

/**
 * Who completes a Parquet file that has no footer: its journal, or a recorder that appends to it. Null: nobody can, because it has no groups
 * file.
 *
 * @since 0.1.0
 * @category queries
 */
export const completedBy = (path: string): "journal" | "append" | null => {
  const groups = readGroups(path)
  if (groups === null) return null
  return groups.header.journal === null ? "append" : "journal"
}

/**
 * What an unfinished Parquet file holds.
 *
 * @since 0.1.0
 * @category models
 */
export interface UnfinishedContent {
  readonly schema: ReadonlyArray<SchemaElement>
  /** The row groups that are finished, with the events that came before the end of each. They are the same objects in every answer. */
  readonly groups: ReadonlyArray<Pick<FinishedGroup, "group" | "events">>
  /** What the file will say of its run. */
  readonly metadata: { readonly [key: string]: string }
}

/**
 * Reads what an open unfinished file holds, again and again. Its methods throw the errors of the file system.
 *
 * @since 0.1.0
 * @category models
 */
export class UnfinishedParquet {
  private readonly path: string
  private readonly fd: number
  private readonly groups: GroupsReader
  private lastWhole: FinishedGroup | undefined

  /** `path` is the name that the file gets, `fd` the open unfinished file. */
  constructor(path: string, fd: number) {
    this.path = path
    this.fd = fd
    this.groups = new GroupsReader(path)
  }

  /**
   * What it holds now. Null if it is unfinished no longer, or if its groups file is missing. Row groups that were lost at its end in a power
   * cut do not count.
   */
  read(): UnfinishedContent | null {
    if (!isAt(partialOf(this.path), this.fd)) return null
    if (fs.fstatSync(this.fd).size === 0) return { schema: schemaOf([]), groups: [], metadata: {} }
    const groups = this.groups.read()
    if (groups === null || groups.complete !== null) return null
    const { finished, header: { settings } } = groups
    return { schema: schemaOf(settings.columns), groups: this.wholeOnes(finished), metadata: settings.metadata }
  }

  /** Those up to the last one that is in the file as it was written. */
  private wholeOnes(finished: ReadonlyArray<FinishedGroup>): ReadonlyArray<FinishedGroup> {
    let count = finished.length
    while (count > 0 && finished[count - 1] !== this.lastWhole && !isWhole(this.fd, finished, count - 1)) count--
    this.lastWhole = finished[count - 1]
    return finished.slice(0, count)
  }
}
