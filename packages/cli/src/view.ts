/**
 * `sampleline view`: what was recorded, in a browser. Also what another process still records.
 */
import { Argument, Command, Flag } from "effect/cli"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { RunError } from "./errors.ts"
import { receivedSignal } from "./record.ts"
import { withoutSecrets } from "./secrets.ts"
import * as Signals from "./signals.ts"
import { clearStatus, print, showStatus } from "./terminal.ts"
import { sayToken } from "./viewAddress.ts"

export const viewCommand = Command.make(
  "view",
  {
    place: Argument.String("PLACE").pipe(
      Argument.withDescription("A file (.csv, .jsonl, .db, .parquet), a journal's folder, or a postgres:// URL")
    ),
    table: Flag.String("table").pipe(
      Flag.withDescription("The table of a database (default: samples)"),
      Flag.optional
    ),
    port: Flag.Int("port").pipe(
      Flag.withDescription("The port of the page (default: 7373, or one that is free)"),
      Flag.optional
    ),
    host: Flag.String("host").pipe(
      Flag.withDescription(
        "Name or address of this machine at which others can open the page too; they need the token that is printed (default: this "
          + "machine only)"
      ),
      Flag.optional
    )
  },
  Effect.fnUntraced(function*({ host, place, port, table }) {
    const { first: signal } = yield* Signals.listen
    const RecordedView = yield* Effect.promise(() => import("@sampleline/view/RecordedView"))
    const view = yield* RecordedView.make({
      place,
      table: Option.getOrUndefined(table),
      port: Option.getOrUndefined(port),
      host: Option.getOrUndefined(host)
    }).pipe(
      Effect.mapError(({ message }) => new RunError({ message: withoutSecrets(message) })),
      Effect.raceFirst(Effect.flatMap(signal, Signals.end))
    )
    print(view.url)
    yield* sayToken(view.urlWithToken)
    yield* Effect.raceFirst(showReading(view.progress), signal)
    clearStatus()
    const name = yield* receivedSignal(signal)
    if (name !== null && name !== "SIGINT") return yield* Signals.end(name)
  }, Effect.scoped)
).pipe(
  Command.withShortDescription("Show a recording in a browser"),
  Command.withDescription(
    "Show what was recorded in a browser, with plots of every field, until Ctrl-C: a file, a table, or a journal, also while another "
      + "process records into it. Nothing is changed. A large file is read once; its overview is there at once, and the next time all of it."
  ),
  Command.withExamples([
    { command: "sampleline view run.csv", description: "A file" },
    {
      command: "sampleline view run.csv.journal",
      description: "What a recorder is recording now, or what it left when it was killed"
    },
    { command: "sampleline view postgres://me@db/lab --table samples", description: "A table in Postgres" }
  ])
)

const STATUS_INTERVAL = "500 millis"

/** Shows on a terminal how far the reading is. Never ends. */
const showReading = (progress: () => number | null): Effect.Effect<never> =>
  Effect.forever(Effect.andThen(
    Effect.suspend(() => {
      const part = progress()
      if (!process.stderr.isTTY) return Effect.void
      return part === null ? Effect.sync(clearStatus) : showStatus(`reading: ${Math.floor(100 * part)} %`)
    }),
    Effect.sleep(STATUS_INTERVAL)
  ))
