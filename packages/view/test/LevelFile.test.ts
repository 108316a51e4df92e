import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import { bucketsOf } from "../src/live/answerRange.ts"
import * as LevelFile from "../src/live/LevelFile.ts"
import { BLOCK, Levels } from "../src/live/Levels.ts"

const WIDTH = 160_000
const BUCKETS = 20_000

it.effect("lets the oldest of the finest level go at its bound, and answers from the next level there", () =>
  Effect.gen(function*() {
    const file = yield* LevelFile.temporary(300_000)
    const levels = new Levels(WIDTH, file.store)
    for (let n = 0; n < BUCKETS; n++) {
      levels.add(0, n * WIDTH, n)
      if (n % 1000 === 0) file.commit()
    }
    assert.isAbove(file.forgotten(), 0)
    const gone = (file.forgotten() + 1) * BLOCK * WIDTH
    const read = (from: number, buckets: number) => {
      const query = { from, until: from + buckets * WIDTH, points: 2000, series: [0] }
      const answer = bucketsOf(levels, query, gone)
      return answer.kind === "buckets" ? answer : assert.fail("no buckets")
    }
    const early = read(0, 400)
    assert.strictEqual(early.width, 4 * WIDTH)
    assert.deepStrictEqual(Array.from(early.series[0]!.buckets.counts.slice(0, 100)), Array(100).fill(4))
    const late = read(BUCKETS * WIDTH - 400 * WIDTH, 400)
    assert.strictEqual(late.width, WIDTH)
    assert.deepStrictEqual(Array.from(late.series[0]!.buckets.counts.slice(0, 399)), Array(399).fill(1))
  }))

it.effect("leaves no file behind, however the process ends", () =>
  Effect.gen(function*() {
    if (process.platform === "win32") return
    const folders = () =>
      ["/var/tmp", os.tmpdir()].flatMap((folder) => fs.readdirSync(folder)).filter((name) =>
        name.startsWith("sampleline-view-")
      )
    const before = folders()
    const file = yield* LevelFile.temporary(Infinity)
    file.store.put(0, 0, 0, new Uint8Array(8))
    file.commit()
    assert.deepStrictEqual(folders().filter((name) => !before.includes(name)), [])
    assert.deepStrictEqual(Array.from(file.store.range(0, 0, 0, 1)).length, 1)
  }))
