/**
 * `--view`: the page of a recording. This file is loaded only when it is asked for.
 */
import type { OutputView } from "@sampleline/view"
import { LiveView, type ViewError } from "@sampleline/view/LiveView"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { RunError } from "./errors.ts"
import type { Settings } from "./settings.ts"
import { latestLog } from "./terminal.ts"
import { sayToken } from "./viewAddress.ts"

/** The page says the level by itself. */
const log = () => latestLog({ named: false })

/** Serves the page while the scope is open. Gives its address. */
export const openView = Effect.fnUntraced(function*(
  { view, "view-host": host }: Settings,
  title: string,
  outputs: () => ReadonlyArray<OutputView>
) {
  const port = view === "auto" ? undefined : view
  const page = yield* Effect.mapError(
    Layer.build(LiveView.layer({ port, host, title, outputs, log })),
    refusal
  )
  const { url, urlWithToken } = Context.get(page, LiveView)
  yield* Effect.logInfo(`the page is at ${url}`)
  yield* sayToken(urlWithToken)
  return url
})

const refusal = ({ message }: ViewError): RunError => new RunError({ message: `--view: ${message}` })
