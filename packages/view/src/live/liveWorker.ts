/**
 * The thread of a live page: its history and its server. The recording is told nothing but marks.
 */
import { messageOf, SampleClock } from "@sampleline/core"
import { Cause, Deferred, Effect } from "effect"
import * as os from "node:os"
import { parentPort, workerData } from "node:worker_threads"
import * as LevelFile from "./LevelFile.ts"
import * as LiveHistory from "./LiveHistory.ts"
import type { FromPage, LiveStart, ToPage } from "./liveMessages.ts"
import { ViewError } from "./Viewed.ts"
import { serve } from "./ViewServer.ts"

/** How large the levels of a recording grow. */
const MAX_BYTES = 2 ** 30

const recording = parentPort!
const tell = (message: FromPage) => recording.postMessage(message)

/**
 * Where the processor is busy, the recording goes first. Only on Linux a thread has a priority of its own; elsewhere this would slow down
 * the recording too.
 */
const giveWay = Effect.ignore(Effect.try(() => process.platform === "linux" && os.setPriority(0, LOW_PRIORITY)))

const LOW_PRIORITY = os.constants.priority.PRIORITY_LOW

const program = Effect.gen(function*() {
  yield* giveWay
  const { server, title } = workerData as LiveStart
  const clock = yield* SampleClock.current
  const history = LiveHistory.make({ title, file: yield* LevelFile.temporary(MAX_BYTES), now: clock.epochMicros })
  const ended = yield* Deferred.make<void>()
  const marks = new Map<number, Deferred.Deferred<number, ViewError>>()
  let lastMark = 0

  const hear = (message: ToPage) => {
    switch (message.say) {
      case "news":
        history.addEvents(message.events)
        for (const source of message.sources) history.addSource(source)
        history.addSamples(message.numbers)
        if (message.status !== null) history.setStatus(message.status)
        return tell({ say: "taken" })
      case "marked":
        return Deferred.doneUnsafe(marks.get(message.id)!, Effect.succeed(message.at))
      case "notMarked":
        return Deferred.doneUnsafe(marks.get(message.id)!, Effect.fail(new ViewError({ detail: message.why })))
      case "end":
        return Deferred.doneUnsafe(ended, Effect.void)
    }
  }
  const mark = Effect.fnUntraced(function*(text: string) {
    const id = lastMark++
    const marked = yield* Deferred.make<number, ViewError>()
    marks.set(id, marked)
    tell({ say: "mark", id, text })
    return yield* Effect.ensuring(Deferred.await(marked), Effect.sync(() => marks.delete(id)))
  })

  const url = yield* serve({ ...history, mark }, { ...server, onPages: (pages) => tell({ say: "pages", pages }) })
  recording.on("message", hear)
  tell({ say: "listening", url })
  yield* Deferred.await(ended)
}).pipe(
  Effect.scoped,
  Effect.matchCause({
    onSuccess: () => tell({ say: "closed" }),
    onFailure: (cause) => tell({ say: "failed", why: messageOf(Cause.squash(cause)) })
  }),
  Effect.ensuring(Effect.sync(() => recording.close()))
)

Effect.runFork(program)
