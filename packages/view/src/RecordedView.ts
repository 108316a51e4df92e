/**
 * A page in the browser with plots of what was recorded: a file, a table or a journal -> levels -> the page. Also of what is still written.
 *
 * The levels are kept in the user's cache folder, so that the next time the page is there at once. They can be removed at any time.
 */
import { messageOf, SampleClock } from "@sampleline/core"
import { open, type ReadError } from "@sampleline/files"
import { Clock, Effect, type Redacted, type Scope } from "effect"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as LevelFile from "./live/LevelFile.ts"
import * as RecordedHistory from "./live/RecordedHistory.ts"
import { newToken, withToken } from "./live/token.ts"
import { ViewError } from "./live/Viewed.ts"
import { DEFAULT_PORT, LOOPBACK, serve } from "./live/ViewServer.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface RecordedViewOptions {
  /** The path of a file or a journal, or the URL of a database. */
  readonly place: string
  /** The table of a database. Default: `samples`. */
  readonly table?: string | undefined
  /** What the page is called. Default: the name of the place. */
  readonly title?: string | undefined
  /** As in `LiveView`, these two. */
  readonly port?: number | undefined
  readonly host?: string | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface RecordedViewShape {
  /** The page's address, and the one with the token that it needs; null if it needs none. */
  readonly url: string
  readonly urlWithToken: Redacted.Redacted | null
  /** How much has been read, from 0 to 1; null: all. */
  readonly progress: () => number | null
}

/**
 * Serves a page while the scope is open.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.fnUntraced(function*(
  options: RecordedViewOptions
): Effect.fn.Return<RecordedViewShape, ReadError | ViewError, Scope.Scope> {
  const { host = LOOPBACK, place, port = DEFAULT_PORT, table } = options
  const recorded = yield* open(place, { table })
  const clock = yield* SampleClock.current
  const viewed = yield* RecordedHistory.make({
    recorded,
    title: options.title ?? path.basename(recorded.place),
    file: yield* levelsOf(`${recorded.format} ${recorded.place}`),
    now: clock.epochMicros
  })
  const token = host === LOOPBACK ? null : newToken()
  const url = yield* serve(viewed, { host, port, token, orAnyPort: options.port === undefined })
  return { url, urlWithToken: withToken(url, token), progress: () => viewed.state().progress }
})

/** The levels of a place from the last time. Where they cannot be kept, or another page uses them, they go with this one. */
const levelsOf = (name: string): Effect.Effect<LevelFile.LevelFile, ViewError, Scope.Scope> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Effect.flatMap(
      Effect.try(() => {
        const folder = path.join(cacheFolder(), "sampleline", "levels")
        fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
        removeOld(folder, now)
        return path.join(folder, `${createHash("sha256").update(name).digest("hex").slice(0, 32)}.db`)
      }),
      (file) => Effect.catch(LevelFile.open(file, Infinity), () => LevelFile.openAnew(file, Infinity))
    )).pipe(
      Effect.catch(() => LevelFile.temporary(Infinity)),
      Effect.mapError((error) =>
        new ViewError({ detail: `there is no room for the levels of the plots: ${messageOf(error)}` })
      )
    )

const cacheFolder = (): string => {
  const { LOCALAPPDATA, XDG_CACHE_HOME } = process.env
  if (process.platform === "win32" && LOCALAPPDATA !== undefined) return LOCALAPPDATA
  if (process.platform === "darwin") return path.join(os.homedir(), "Library", "Caches")
  return XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache")
}

/** After so many days without a look the levels of a place go. */
const KEPT_DAYS = 30
const DAY_MILLIS = 86_400_000

/** Others may do so at the same time. */
const removeOld = (folder: string, now: number): void => {
  for (const name of fs.readdirSync(folder)) {
    const file = path.join(folder, name)
    const stats = fs.statSync(file, { throwIfNoEntry: false })
    if (stats !== undefined && now - stats.mtimeMs > KEPT_DAYS * DAY_MILLIS) fs.rmSync(file, { force: true })
  }
}
