/**
 * Which crashes are tried: those that random numbers choose, and one at each named point.
 */
import { Effect, Random } from "effect"
import * as KillPoints from "./killPoints.ts"
import type { KillPoint, Named } from "./killPoints.ts"
import type { Outputs } from "./outputs.ts"

/** When a process is killed. */
export type Kill =
  /** From outside, when it has accepted so many samples, or after so many milliseconds. */
  | { readonly accepted: number }
  | { readonly millis: number }
  /** When this is done. */
  | { readonly when: Effect.Effect<void> }
  /** From inside, at a point. */
  | { readonly name: string; readonly point: KillPoint; readonly accepted: number; readonly nth: number }

export interface Crash {
  readonly first: Kill
  /** When the resumes are killed. The last one is not. */
  readonly resumes: ReadonlyArray<Kill>
  readonly maxBytes: number
}

/** The `nth` time after so many samples. */
export const at = (points: Named, name: string, accepted = 0, nth = 1): Kill => ({
  name,
  point: points[name]!,
  accepted,
  nth
})

const describeKill = (kill: Kill): string => {
  if ("name" in kill) return `${kill.name} (call ${kill.nth} after ${kill.accepted} samples)`
  if ("when" in kill) return "at an event"
  return "millis" in kill ? `after ${kill.millis} ms` : `at ${kill.accepted} samples`
}

export const describeCrash = ({ first, resumes }: Crash): string =>
  [describeKill(first), ...resumes.map((kill) => `${describeKill(kill)}, in a resume`)].join("; ")

/** A journal this large holds four segments, each of about a second. */
export const SMALL = 250_000
/** This one is not full when the first segments go. */
const MEDIUM = 600_000
export const LARGE = 10 * 2 ** 30

const pointsOf = (outputs: Outputs): KillPoints.Points => {
  const all = [KillPoints.journal, ...Object.values(outputs).map(({ points }) => points)]
  return {
    writing: Object.assign({}, ...all.map((points) => points?.writing)),
    resuming: Object.assign({}, ...all.map((points) => points?.resuming))
  }
}

/** A crash that the random numbers choose. */
export const randomCrash = (outputs: Outputs): Effect.Effect<Crash> =>
  Effect.gen(function*() {
    const between = (min: number, max: number) => Random.nextIntBetween(min, max, { halfOpen: true })
    const pointOf = Effect.fnUntraced(function*(points: Named, accepted: number, nth?: number) {
      const names = Object.keys(points)
      const name = names[yield* between(0, names.length)]!
      // Outputs are synced once a second, and a small journal is full after four.
      return at(points, name, accepted, nth ?? (yield* between(1, 3)))
    })
    const { resuming, writing } = pointsOf(outputs)
    const accepted = yield* between(50, 1200)
    const kinds: ReadonlyArray<Effect.Effect<Pick<Crash, "first" | "maxBytes">>> = [
      Effect.succeed({ first: { accepted }, maxBytes: LARGE }),
      Effect.succeed({ first: { accepted }, maxBytes: SMALL }),
      Effect.map(pointOf(writing, accepted), (first) => ({ first, maxBytes: LARGE })),
      Effect.map(pointOf(writing, accepted), (first) => ({ first, maxBytes: SMALL })),
      Effect.map(pointOf(KillPoints.appending, accepted), (first) => ({ first, maxBytes: SMALL })),
      Effect.map(pointOf(KillPoints.rotating, 50, 1), (first) => ({ first, maxBytes: SMALL })),
      Effect.map(pointOf(KillPoints.forgetting, 50), (first) => ({ first, maxBytes: MEDIUM }))
    ]
    const chosen = yield* kinds[yield* between(0, kinds.length)]!
    const resumes: Array<Kill> = []
    while (resumes.length < 3 && (yield* Random.nextBoolean)) {
      resumes.push(
        (yield* Random.nextBoolean)
          ? yield* pointOf({ ...writing, ...resuming }, 0)
          : { millis: yield* between(100, 900) }
      )
    }
    return { ...chosen, resumes }
  })

/** A crash at each named point, but not while a journal is made. */
export const namedCrashes = (outputs: Outputs): { readonly [name: string]: Crash } => {
  const { resuming, writing } = pointsOf(outputs)
  const inRecording = (points: Named, accepted: number, maxBytes: number) =>
    Object.keys(points).map((name) => [name, { first: at(points, name, accepted), resumes: [], maxBytes }])
  return Object.fromEntries([
    ...inRecording(writing, 300, LARGE),
    ...inRecording(KillPoints.appending, 300, LARGE),
    ...inRecording(KillPoints.rotating, 50, SMALL),
    ...inRecording(KillPoints.forgetting, 50, MEDIUM),
    ...Object.keys(resuming).map((name) => [
      name,
      { first: { accepted: 300 }, resumes: [at(resuming, name)], maxBytes: LARGE }
    ])
  ])
}
