/**
 * The lengths of bars and the places of texts, read from the SVG as a browser would draw it.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { decodeRows } from "../src/results.ts"
import { short, throughputChart } from "../src/throughputChart.ts"

interface Shape {
  readonly x: number
  readonly y: number
}

interface Bar extends Shape {
  readonly label: string
  readonly width: number
  readonly height: number
}

interface Text extends Shape {
  readonly text: string
  readonly fontSize: number
}

const shift = (attributes: string): readonly [number, number] => {
  const [, x = 0, y = 0] = /transform="translate\(([-\d.]+),([-\d.]+)\)"/.exec(attributes) ?? []
  return [Number(x), Number(y)]
}

/** Follows the nested groups, each of which moves what is inside it. */
const read = (svg: string) => {
  const offsets: Array<readonly [number, number]> = [[0, 0]]
  const bars: Array<Bar> = []
  const texts: Array<Text> = []
  for (const [, closing, tag, attributes = "", text = ""] of svg.matchAll(/<(\/?)(\w+)([^>]*)>([^<]*)/g)) {
    const [left, top] = offsets.at(-1)!
    const [dx, dy] = shift(attributes)
    if (tag === "g" && closing !== "") offsets.pop()
    else if (tag === "g" && !attributes.endsWith("/")) offsets.push([left + dx, top + dy])
    else if (tag === "text" && closing === "") {
      texts.push({ text, x: left + dx, y: top + dy, fontSize: Number(/font-size="(\d+)px"/.exec(attributes)![1]) })
    } else if (tag === "path" && attributes.includes("aria-roledescription=\"bar\"")) {
      const [, x, y, width, height] = / d="M([-\d.]+),([-\d.]+)h([-\d.]+)v([-\d.]+)h[-\d.]+Z"/.exec(attributes)!
      bars.push({
        label: /aria-label="([^"]*)"/.exec(attributes)![1]!,
        x: left + Number(x),
        y: top + Number(y),
        width: Number(width),
        height: Number(height)
      })
    }
  }
  const [, width, height] = /^<svg [^>]*width="(\d+)" height="(\d+)"/.exec(svg)!
  return { bars, texts, width: Number(width), height: Number(height) }
}

const chart = Effect.gen(function*() {
  const file = fileURLToPath(new URL("../results.json", import.meta.url))
  const rows = (yield* decodeRows(fs.readFileSync(file, "utf8"))).filter(({ fields, sink }) =>
    fields === 7 && sink !== "null"
  )
  const { bars, ...picture } = read(yield* throughputChart(rows))
  // In the order in which they are drawn: speeds, limits, and speeds again, each as a part of its limit.
  const [speeds, limits, parts] = [0, 1, 2].map((n) => bars.slice(n * rows.length, (n + 1) * rows.length))
  return { rows, bars, speeds: speeds!, limits: limits!, parts: parts!, ...picture }
})

it.effect("the bars' lengths follow the figures", () =>
  Effect.gen(function*() {
    const { bars, limits, parts, rows, speeds } = yield* chart
    assert.strictEqual(bars.length, 3 * rows.length)
    assert.isTrue(bars.every(({ width }) => width > 0))
    for (const [n, { limitPerSecond, samplesPerSecond }] of rows.entries()) {
      assert.closeTo(speeds[n]!.width / speeds[0]!.width, samplesPerSecond / rows[0]!.samplesPerSecond, 1e-6)
      assert.closeTo(parts[n]!.width / limits[n]!.width, samplesPerSecond / limitPerSecond, 1e-6)
      assert.strictEqual(limits[n]!.width, limits[0]!.width)
    }
  }))

it.effect("each bar stands in the row of its sink, and begins where the others do", () =>
  Effect.gen(function*() {
    const { limits, parts, rows, speeds } = yield* chart
    for (const [n, { batch, sink }] of rows.entries()) {
      for (const bars of [speeds, limits, parts]) {
        assert.isTrue(bars[n]!.label.startsWith(sink), bars[n]!.label)
        assert.include(bars[n]!.label, `batch ${batch}`)
        assert.strictEqual(bars[n]!.y, speeds[n]!.y)
        assert.strictEqual(bars[n]!.x, bars[0]!.x)
      }
      assert.strictEqual(limits[n]!.x, parts[n]!.x)
    }
    assert.strictEqual(new Set(speeds.map(({ y }) => y)).size, rows.length)
  }))

it.effect("each bar has its value beside it, and no text leaves the picture or touches a bar", () =>
  Effect.gen(function*() {
    const { bars, height, limits, rows, speeds, texts, width } = yield* chart
    const isBeside = (text: Text, bar: Bar) =>
      text.y > bar.y && text.y < bar.y + bar.height && text.x >= bar.x + bar.width && text.x < bar.x + bar.width + 10
    for (const [n, row] of rows.entries()) {
      for (const [bar, value] of [[speeds[n]!, row.samplesPerSecond], [limits[n]!, row.limitPerSecond]] as const) {
        assert.isTrue(texts.some((text) => text.text === short(value) && isBeside(text, bar)), bar.label)
      }
    }
    for (const { fontSize, text, x, y } of texts) {
      // No common font is wider, and bold is included.
      const right = x + 0.7 * fontSize * text.length
      assert.isTrue(x >= 0 && right <= width && y - fontSize >= 0 && y + fontSize / 2 <= height, text)
      const touched = bars.find((bar) =>
        y > bar.y && y - fontSize / 2 < bar.y + bar.height && x < bar.x + bar.width && right > bar.x
      )
      assert.isUndefined(touched, `${text} touches ${touched?.label}`)
    }
  }))

it("a value is written with three digits", () => {
  assert.deepStrictEqual([1_343_148, 38_284_221, 860_591, 130_400, 999_600].map(short), [
    "1.34 M",
    "38.3 M",
    "861 k",
    "130 k",
    "1 M"
  ])
})
