/**
 * A page in the browser with plots of the recordings of this program: samples and events -> a thread of its own -> levels -> the page.
 *
 * The recording only copies numbers. The server, and all that pages ask for, is in the thread.
 */
import { messageOf, Recorder, SampleClock } from "@sampleline/core"
import { Clock, Context, Deferred, Effect, FiberSet, Layer, type Redacted, type Scope } from "effect"
import { Worker } from "node:worker_threads"
import { LiveFeed } from "./live/LiveFeed.ts"
import type { FromPage, LiveStart, ToPage } from "./live/liveMessages.ts"
import { newToken, withToken } from "./live/token.ts"
import { ViewError } from "./live/Viewed.ts"
import { DEFAULT_PORT, LOOPBACK } from "./live/ViewServer.ts"
import type { LogLine, OutputView } from "./TableView.ts"

export { ViewError }

/**
 * @since 0.1.0
 * @category options
 */
export interface LiveViewOptions {
  /** The port of the page; 0 is any that is free. Default: 7373, or one that is free if another program uses that. */
  readonly port?: number | undefined
  /**
   * The name or address of this machine at which the page is served. At another one than the default whoever opens the page needs a
   * token. Default: `127.0.0.1`, for this machine only.
   */
  readonly host?: string | undefined
  /** What the page is called. Default: `recording`. */
  readonly title?: string | undefined
  /** How far the outputs are, and the latest lines of the log. Called four times a second while a page is open. Default: none. */
  readonly outputs?: (() => ReadonlyArray<OutputView>) | undefined
  readonly log?: (() => ReadonlyArray<LogLine>) | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface LiveViewShape {
  /** The page's address. */
  readonly url: string
  /** The address with the token that it needs, for the person who opens it; null if it needs none. */
  readonly urlWithToken: Redacted.Redacted | null
}

const POST_INTERVAL_MILLIS = 100
const LOOK_INTERVAL = "200 millis"
const STATUS_INTERVAL_MILLIS = 250
/** Messages that the thread has not taken: half a minute. */
const BACKLOG = 300
const LAST_PATIENCE = "1 second"

/**
 * The page of the recordings in this program.
 *
 * @since 0.1.0
 * @category services
 */
export class LiveView extends Context.Service<LiveView, LiveViewShape>()("@sampleline/view/LiveView") {
  /**
   * Serves a page while the scope is open, and shows it all recordings of this program. A page that fails later is told, and the recording
   * goes on.
   *
   * @example
   * Effect.provide(program, [CsvSink.layer({ path: "run.csv" }), LiveView.layer()])
   */
  static readonly layer = (options: LiveViewOptions = {}): Layer.Layer<LiveView, ViewError> =>
    Layer.effect(LiveView, Effect.suspend(() => open(options)))
}

const open = Effect.fnUntraced(function*(
  options: LiveViewOptions
): Effect.fn.Return<LiveViewShape, ViewError, Scope.Scope> {
  const { host = LOOPBACK, port = DEFAULT_PORT, title = "recording" } = options
  const token = host === LOOPBACK ? null : newToken()
  const page = yield* startThread({
    title,
    server: { host, port, token, orAnyPort: options.port === undefined }
  })
  const feed = new LiveFeed()
  const clock = yield* Clock.Clock
  const sampleClock = yield* SampleClock.current
  const fork = yield* FiberSet.makeRuntime()

  yield* page.onMark((id, text) => {
    if (!feed.isRecording) return page.send({ say: "notMarked", id, why: "nothing is recorded now" })
    const at = sampleClock.epochMicros()
    fork(Effect.andThen(Recorder.mark(text, at), Effect.sync(() => page.send({ say: "marked", id, at }))))
  })

  const millis = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  let postedAt = -Infinity
  let statusAt = -Infinity
  const post = (now: number) => {
    postedAt = now
    // What is not shown is lost to the page alone.
    if (page.backlog() > BACKLOG) return feed.dropSamples()
    const showsStatus = page.pages() > 0 && now - statusAt >= STATUS_INTERVAL_MILLIS
    if (feed.isEmpty && !showsStatus) return
    if (showsStatus) statusAt = now
    page.send({
      say: "news",
      ...feed.take(),
      status: showsStatus
        ? { latest: feed.latestSamples(), outputs: options.outputs?.() ?? [], log: options.log?.() ?? [] }
        : null
    })
  }
  const postIfDue = (interval: number) => {
    const now = millis()
    if (now - postedAt >= interval) post(now)
  }
  // Right behind a tick, when the next one is furthest.
  yield* Recorder.observe((items) => {
    feed.observe(items)
    postIfDue(POST_INTERVAL_MILLIS)
  })
  // Where ticks are rare, or none comes.
  const postLater = Effect.sync(() => postIfDue(2 * POST_INTERVAL_MILLIS))
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(LOOK_INTERVAL), postLater)))
  // The end of the run, before the thread is told to end.
  yield* Effect.addFinalizer(() => Effect.sync(() => post(millis())))

  const { url } = page
  return { url, urlWithToken: withToken(url, token) }
})

interface Page {
  readonly url: string
  readonly send: (message: ToPage) => void
  /** Messages that were sent and not taken yet. */
  readonly backlog: () => number
  /** How many pages are open. */
  readonly pages: () => number
  readonly onMark: (mark: (id: number, text: string) => void) => Effect.Effect<void>
}

/** Starts the thread, and waits until its server listens. The scope ends it. */
const startThread = Effect.fnUntraced(function*(start: LiveStart): Effect.fn.Return<Page, ViewError, Scope.Scope> {
  const fork = yield* FiberSet.makeRuntime()
  const listening = yield* Deferred.make<string, ViewError>()
  const closed = yield* Deferred.make<void>()
  let backlog = 0
  let pages = 0
  let hasFailed = false
  let isEnding = false
  let mark = (_id: number, _text: string): void => {}

  const failed = (why: string) => {
    if (Deferred.doneUnsafe(listening, Effect.fail(new ViewError({ detail: why }))) || hasFailed) return
    hasFailed = true
    if (!isEnding) fork(Effect.logWarning(`the page failed: ${why}; the recording goes on without it`))
    Deferred.doneUnsafe(closed, Effect.void)
  }
  const worker = yield* Effect.acquireRelease(
    Effect.mapError(
      // The module is beside this one, and is TypeScript or compiled as this one is.
      Effect.try(() => new Worker(new URL(WORKER, import.meta.url), { workerData: start, execArgv: [] })),
      ({ cause }) => new ViewError({ detail: `the page's thread did not start: ${messageOf(cause)}` })
    ),
    (worker) =>
      Effect.promise(() => {
        isEnding = true
        return worker.terminate()
      })
  )
  worker.on("message", (message: FromPage) => {
    switch (message.say) {
      case "listening":
        return Deferred.doneUnsafe(listening, Effect.succeed(message.url))
      case "failed":
        return failed(message.why)
      case "taken":
        return backlog--
      case "pages":
        pages = message.pages
        return
      case "mark":
        return mark(message.id, message.text)
      case "closed":
        return Deferred.doneUnsafe(closed, Effect.void)
    }
  })
  worker.on("error", (error) => failed(messageOf(error)))
  worker.on("exit", () => failed("its thread ended"))

  const url = yield* Deferred.await(listening)
  const send = (message: ToPage) => {
    if (hasFailed) return
    if (message.say === "news") backlog++
    worker.postMessage(message, message.say === "news" ? [message.numbers.buffer as ArrayBuffer] : [])
  }
  yield* Effect.addFinalizer(() => {
    isEnding = true
    send({ say: "end" })
    return Effect.timeoutOption(Deferred.await(closed), LAST_PATIENCE)
  })
  return {
    url,
    send,
    backlog: () => backlog,
    pages: () => pages,
    onMark: (listen) =>
      Effect.sync(() => {
        mark = listen
      })
  }
})

/** Built, it is beside this module; as source it is in the folder `live`. */
const WORKER = import.meta.url.endsWith(".ts") ? "./live/liveWorker.ts" : "./live/liveWorker.js"
