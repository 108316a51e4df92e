/**
 * Where journals of recordings are: beside the first file, elsewhere if there can be none, or where `--journal` says. Only names are
 * looked at.
 */
import * as Array from "effect/Array"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { JOURNAL_ENDING, type Settings } from "./settings.ts"
import { absolutePath, isOnDisk, isPostgres } from "./targets.ts"

/** The journals that earlier runs have left where that of a recording would be, the oldest first. */
export const journalsInPlace = (settings: Settings): ReadonlyArray<string> => ownPlaces(settings).flatMap(namesIn)

/**
 * The journals that earlier runs may have left of any of these outputs: another one may have been the first then. The oldest of a
 * place is first.
 */
export const earlierJournals = (settings: Settings): ReadonlyArray<string> => {
  const { out, table } = settings
  const outputs = [...out.filter(isOnDisk), ...out.some(isPostgres) ? [table] : []]
  const places = outputs.flatMap((output) => placesOf(output + JOURNAL_ENDING))
  return Array.dedupe([...ownPlaces(settings), ...places]).flatMap(namesIn)
}

/** Where the journal of a recording may be. */
const ownPlaces = (settings: Settings): ReadonlyArray<string> =>
  settings.journal === undefined ? placesOf(besideOutput(settings)) : [given(settings.journal)]

/** Where the journal is that should be there. */
const placesOf = (beside: string): ReadonlyArray<string> => [beside, elsewhere(beside)]

/** Without a slash at its end. */
export const given = (journal: string): string => path.join(path.dirname(journal), path.basename(journal))

/** The `n`th name in a place: `run.csv.journal`, `run.csv-2.journal`. The next one is used while an earlier run's stays. */
export const nthName = (place: string, n: number): string => {
  if (n === 1) return place
  return place.endsWith(JOURNAL_ENDING)
    ? `${place.slice(0, -JOURNAL_ENDING.length)}-${n}${JOURNAL_ENDING}`
    : `${place}-${n}`
}

/** The names in a place that are used, by their numbers. */
const namesIn = (place: string): ReadonlyArray<string> => {
  const numbers = namesOf(path.dirname(place)).flatMap((name) => {
    const n = name === path.basename(place) ? 1 : Number(/-(\d+)(?:\.journal)?$/.exec(name)?.[1] ?? 1)
    return name === path.basename(nthName(place, n)) ? [n] : []
  })
  return numbers.toSorted((a, b) => a - b).map((n) => nthName(place, n))
}

/** None of a folder that is missing, a file, or not to be read: opening it says so. */
const namesOf = (folder: string): ReadonlyArray<string> => {
  try {
    return fs.readdirSync(folder)
  } catch {
    return []
  }
}

/** `run.csv.journal` beside the first file. Without a file it is in the working directory, with the name of the table. */
export const besideOutput = ({ out, table }: Settings): string => (out.find(isOnDisk) ?? table) + JOURNAL_ENDING

/** A place of the user's own, on this machine, for a journal that cannot be where it should. */
export const elsewhere = (beside: string): string => {
  const full = absolutePath(beside) ?? beside
  const digest = createHash("sha256").update(full).digest("hex").slice(0, 8)
  return path.join(stateFolder(), "sampleline", `${path.basename(full, JOURNAL_ENDING)}-${digest}${JOURNAL_ENDING}`)
}

const stateFolder = (): string => {
  const { LOCALAPPDATA, XDG_STATE_HOME } = process.env
  switch (process.platform) {
    case "win32":
      return LOCALAPPDATA ?? path.join(os.homedir(), "AppData", "Local")
    case "darwin":
      return path.join(os.homedir(), "Library", "Application Support")
    default:
      return XDG_STATE_HOME !== undefined && path.isAbsolute(XDG_STATE_HOME)
        ? XDG_STATE_HOME
        : path.join(os.homedir(), ".local", "state")
  }
}
