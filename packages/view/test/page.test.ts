import { assert, describe, it } from "@effect/vitest"
import axe from "axe-core"
import { Context, Effect, Fiber, Layer } from "effect"
import * as fs from "node:fs"
import type { Browser, Page } from "playwright-core"
import { hasBrowser, openPage, startBrowser } from "./browser.ts"
import { HTML_NAME, type MadeUp, madeUp, type PageServer, START, startPageServer, valueAt } from "./pageServer.ts"

/** One browser for all tests. */
class Chromium extends Context.Service<Chromium, Browser>()("Chromium") {
  static readonly layer = Layer.effect(Chromium, startBrowser)
}

/** What the page tells of itself, and what is drawn. It runs in the page. */
const PROBE = `
window.probe = {
  get page() { return window.sampleline },
  plot: (key) => window.sampleline.plots.find((plot) => plot.group.key === key),
  shown: () => window.sampleline.timeline.shown,
  range: () => { const { kind, count, width } = window.sampleline.range; return { kind, count, width } },
  most: (key, line) => {
    const { chart } = window.probe.plot(key)
    const { from, until } = window.sampleline.timeline.shown
    return Math.max(...chart.data[line].filter((value, at) => value != null && chart.data[0][at] >= from && chart.data[0][at] <= until))
  },
  // Whether a pixel of this colour is in the column of a time.
  hasInk: (key, line, time) => {
    const { chart } = window.probe.plot(key)
    const wanted = window.sampleline.theme.lines[line - 1].match(/\\d+/g).map(Number)
    const x = Math.round(chart.valToPos(time, "x", true))
    const { top, height } = chart.bbox
    const { data } = chart.ctx.getImageData(x, top, 1, height - 8)
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] > 128 && wanted.every((part, colour) => Math.abs(part - data[at + colour]) < 40)) return true
    }
    return false
  },
  isDrawn: () => {
    const { page } = window.probe
    return page !== undefined && page.range !== undefined && page.state !== undefined && page.plots.slice(0, 2).every((plot) => plot.isCollapsed || plot.chart.data[0].length > 0)
  }
}`

/** Waits in the page: its policy forbids the way of playwright, which compiles texts there. */
const waitFor = (expression: string): string =>
  `new Promise((resolve, reject) => {
  const end = setTimeout(() => reject(new Error(${JSON.stringify(`Never: ${expression}`)})), 30_000)
  const check = () => {
    if (!(${expression})) return setTimeout(check, 10)
    clearTimeout(end)
    resolve()
  }
  check()
})`

interface Opened {
  readonly page: Page
  readonly server: PageServer
  readonly errors: ReadonlyArray<string>
  /** What an expression gives, in the page. */
  readonly ask: <A>(expression: string) => Effect.Effect<A>
  readonly until: (expression: string) => Effect.Effect<void>
  readonly act: <A>(act: (page: Page) => Promise<A>) => Effect.Effect<A>
  /** More data, which is told. */
  readonly record: (ticks: number) => Effect.Effect<void>
}

const open = Effect.fnUntraced(function*(data: MadeUp, options: Parameters<typeof openPage>[2] = {}, hash = "") {
  const server = yield* startPageServer(data)
  const { errors, page } = yield* openPage(yield* Chromium, server.url + hash, options)
  const act: Opened["act"] = (act) => Effect.promise(() => act(page))
  const opened: Opened = {
    page,
    server,
    errors,
    act,
    ask: (expression) => Effect.promise(() => page.evaluate(expression)),
    until: (expression) => Effect.promise(() => page.evaluate(waitFor(expression))),
    record: (ticks) =>
      Effect.sync(() => {
        data.ticks += ticks
        server.tell()
      })
  }
  yield* opened.ask(PROBE)
  if (data.ticks > 0) yield* opened.until("probe.isDrawn()")
  return opened
})

/** The window of the last request of a range. */
const askedOf = ({ server }: Opened) => {
  const path = server.asked.findLast((path) => path.startsWith("/api/range"))
  const query = new URL(path ?? "", server.url).searchParams
  return {
    from: Number(query.get("from")),
    until: Number(query.get("until")),
    series: query.get("series")!.split(",").map(Number)
  }
}

/** Data of three devices: enough, and drawn faster. */
const ofThree = (changes: Partial<MadeUp> = {}) => madeUp({ devices: ["fuel", HTML_NAME, "oven"], ...changes })

const at = (tick: number) => START + tick * 10_000

describe.skipIf(!hasBrowser)("the page, in a browser (on Linux, or with CHROME_PATH)", () => {
  it.layer(Chromium.layer)((it) => {
    it.effect("values arrive, and the plots have the data", () =>
      Effect.gen(function*() {
        const data = ofThree({ ticks: 3000 })
        const opened = yield* open(data)
        yield* opened.act((page) => page.getByRole("button", { name: "Last 1 min" }).click())
        yield* opened.record(200)
        yield* opened.until(`probe.shown().until === ${at(3199)} && probe.page.range.until >= ${at(3199)}`)
        // A window that is short enough has single samples.
        yield* opened.ask(`probe.page.timeline.show({ from: ${at(3000)}, until: ${at(3199)} })`)
        yield* opened.until("probe.range().kind === 'points'")
        yield* opened.until("probe.plot('SCCM').chart.data[0].length >= 200")
        const [times, values] = yield* opened.ask<[Array<number>, Array<number>]>(
          "[[...probe.plot('PSIA').chart.data[0]], [...probe.plot('PSIA').chart.data[2]]]"
        )
        for (const [place, time] of times.entries()) {
          const series = data.fields * 1 + 2
          assert.strictEqual(values[place], valueAt(data, series, Math.round((time - START) / 10_000)))
        }
        assert.include(yield* opened.act((page) => page.title()), "Recording")
        assert.deepStrictEqual(opened.errors, [])
      }))

    it.effect("a spike of one sample is there at every zoom, and a gap is a gap", () =>
      Effect.gen(function*() {
        const data = ofThree()
        const opened = yield* open(data)
        for (const width of [30_000, 8_000, 500, 40]) {
          yield* opened.ask(
            `probe.page.timeline.show({ from: ${at(data.spike - width)}, until: ${at(data.spike + width)} })`
          )
          yield* opened.until(
            `probe.page.range.until - probe.page.range.from < ${
              4 * width * 10_000
            } && Math.abs(probe.most("SCCM", 1) - 1000) < 0.1`
          )
        }
        yield* opened.ask(`probe.page.timeline.show({ from: ${at(19_000)}, until: ${at(24_000)} })`)
        yield* opened.until(`probe.page.range.from > ${at(15_000)}`)
        const inks = [19_500, 21_500, 23_500].map((tick) => `probe.hasInk("PSIA", 1, ${at(tick)})`)
        yield* opened.until(`${inks[0]} && !${inks[1]} && ${inks[2]}`)
      }))

    it.effect("hands and keys zoom, pan and go back, and the right range is asked for", () =>
      Effect.gen(function*() {
        const opened = yield* open(ofThree())
        const box = (yield* opened.act((page) => page.locator(".u-over").first().boundingBox()))!
        const whole = yield* opened.ask<{ from: number; until: number }>("probe.shown()")
        const timeAt = (part: number) => whole.from + part * (whole.until - whole.from)
        yield* opened.act(({ mouse }) =>
          mouse.move(box.x + box.width * 0.25, box.y + 50)
            .then(() => mouse.down())
            .then(() => mouse.move(box.x + box.width * 0.5, box.y + 60, { steps: 4 }))
            .then(() => mouse.up())
        )
        const zoomed = yield* opened.ask<{ from: number; until: number }>("probe.shown()")
        const pixel = (whole.until - whole.from) / box.width
        assert.closeTo(zoomed.from, timeAt(0.25), 2 * pixel)
        assert.closeTo(zoomed.until, timeAt(0.5), 2 * pixel)
        yield* opened.until(`probe.page.range.from > ${whole.from}`)
        const asked = askedOf(opened)
        assert.isTrue(
          asked.from <= zoomed.from && asked.until >= zoomed.until &&
            asked.until - asked.from < whole.until - whole.from
        )

        yield* opened.act(({ mouse }) => mouse.wheel(0, -200))
        yield* opened.until(`probe.shown().until - probe.shown().from < ${(zoomed.until - zoomed.from) * 0.9}`)
        yield* opened.act(({ keyboard }) => keyboard.press("Shift+ArrowLeft"))
        yield* opened.until(`probe.shown().until < ${zoomed.until - 1e6}`)
        // Fast movements are one step of the way back.
        yield* opened.until("document.getElementById('back').click(), document.getElementById('back').disabled")
        assert.deepStrictEqual(yield* opened.ask("probe.shown()"), whole)

        yield* opened.act((page) => page.locator(".area").first().focus())
        yield* opened.act(({ keyboard }) => keyboard.press("+"))
        const { from, until } = yield* opened.ask<{ from: number; until: number }>("probe.shown()")
        assert.closeTo(until - from, (whole.until - whole.from) / 2, 1)
        yield* opened.act(({ keyboard }) => keyboard.press("ArrowLeft").then(() => keyboard.press("ArrowLeft")))
        yield* opened.until("document.getElementById('spoken').textContent.includes('fuel Mass_Flow')")
        yield* opened.act(({ keyboard }) => keyboard.press("Home"))
        assert.deepStrictEqual(yield* opened.ask("probe.page.timeline.rolling"), Infinity)
        yield* opened.act(({ keyboard }) => keyboard.press("p"))
        yield* opened.until("document.getElementById('state-text').textContent.includes('paused')")
        assert.deepStrictEqual(opened.errors, [])
      }))

    it.effect("hidden series and folded plots are not asked for, and a reload keeps the choice", () =>
      Effect.gen(function*() {
        const opened = yield* open(ofThree())
        assert.strictEqual(askedOf(opened).series.length, 18)
        yield* opened.act((page) => page.getByRole("button", { name: /^Pressure/ }).click())
        yield* opened.act((page) => page.locator("[data-key=SCCM] .entry").first().click())
        yield* opened.until("probe.page.range.series.size === 14")
        assert.isFalse(askedOf(opened).series.includes(0))
        yield* opened.act((page) => page.reload())
        yield* opened.ask(PROBE)
        yield* opened.until("probe.isDrawn() && probe.page.range.series.size === 14")
        assert.strictEqual(
          yield* opened.act((page) => page.locator("[data-key=SCCM] .entry").first().getAttribute("aria-pressed")),
          "false"
        )
        // All that was recorded before the reload is there again.
        assert.isAtMost(yield* opened.ask<number>("probe.plot('SCCM').chart.data[0][0]"), at(100))
      }))

    it.effect("a page that is hidden neither listens nor asks, and asks for all when it is seen again", () =>
      Effect.gen(function*() {
        const opened = yield* open(ofThree({ ticks: 3000 }))
        const show = (isHidden: boolean) =>
          opened.ask(
            `Object.defineProperty(document, "hidden", { value: ${isHidden}, configurable: true }), document.dispatchEvent(new Event("visibilitychange"))`
          )
        const wait = (millis: number) => opened.ask(`new Promise((done) => setTimeout(done, ${millis}))`)
        yield* show(true)
        yield* Effect.repeat(wait(20), { until: () => opened.server.listening() === 0 })
        opened.server.asked.length = 0
        yield* opened.record(500)
        yield* wait(400)
        assert.deepStrictEqual(opened.server.asked, [])
        yield* show(false)
        yield* opened.until(`probe.page.range.until >= ${at(3499)}`)
        assert.strictEqual(opened.server.listening(), 1)
      }))

    it.effect("a token in the address is used and taken away, and asked for if there is none", () =>
      Effect.gen(function*() {
        const opened = yield* open(ofThree({ token: "secret" }), {}, "#token=secret")
        assert.strictEqual(yield* opened.ask("location.hash"), "")
        const other = yield* open(ofThree({ token: "secret", ticks: 0 }))
        yield* other.until("!document.getElementById('token').hidden")
        const enter = (token: string) =>
          other.act((page) =>
            page.getByLabel("Token of this recording").fill(token).then(() => page.keyboard.press("Enter"))
          )
        yield* enter("guess")
        yield* other.until("document.getElementById('problem').textContent.startsWith('This is another token.')")
        const loaded = yield* Effect.forkChild(other.act((page) => page.waitForEvent("load")), {
          startImmediately: true
        })
        yield* enter("secret")
        yield* Fiber.join(loaded)
        yield* other.until("window.sampleline?.state !== undefined")
      }))

    it.effect("markers are posted, files are saved, and names with HTML are text", () =>
      Effect.gen(function*() {
        const opened = yield* open(ofThree())
        yield* opened.act(({ keyboard }) => keyboard.press("m"))
        yield* opened.act(({ keyboard }) => keyboard.type("valve <i>closed</i>").then(() => keyboard.press("Enter")))
        yield* opened.until("document.getElementById('mark-text').value === ''")
        assert.deepStrictEqual(opened.server.marked, ["valve <i>closed</i>"])
        assert.strictEqual(yield* opened.ask("document.querySelectorAll('main img, main b, main i').length"), 0)
        assert.include(yield* opened.ask<string>("document.getElementById('device-rows').textContent"), HTML_NAME)
        assert.notInclude(yield* opened.act((page) => page.title()), "broken")

        const saved = (name: string) =>
          opened.act((page) =>
            Promise.all([page.waitForEvent("download"), page.getByRole("button", { name, exact: true }).click()])
              .then(([download]) => download.path()).then((path) => fs.readFileSync(path))
          )
        const lines = (yield* saved("CSV")).toString().trimEnd().split("\r\n")
        assert.strictEqual(lines[0], "time,device,field,unit,mean,min,max,n")
        assert.match(lines[1]!, /^2026-03-01T12:00:00\.000000Z,fuel,Mass_Flow,SCCM,[\d.]+,[\d.]+,[\d.]+,64$/)
        assert.isAbove(lines.length, 15_000)
        assert.deepStrictEqual([...(yield* saved("PNG")).subarray(1, 4)], [...Buffer.from("PNG")])
        assert.deepStrictEqual(opened.errors, [])
      }))

    it.effect("what happened is listed, and a click shows it", () =>
      Effect.gen(function*() {
        const opened = yield* open(ofThree())
        yield* opened.until("document.querySelectorAll('#event-list li').length === 6")
        yield* opened.act((page) => page.getByRole("button", { name: "Holes" }).click())
        yield* opened.until("document.querySelectorAll('#event-list li').length === 2")
        yield* opened.act((page) => page.locator("#event-list button", { hasText: "fuel" }).click())
        assert.deepStrictEqual(yield* opened.ask("probe.shown()"), { from: at(18_500), until: at(24_500) })
        const box = (yield* opened.act((page) => page.locator(".u-over").first().boundingBox()))!
        yield* opened.act(({ mouse }) => mouse.move(box.x + box.width / 2, box.y + 20))
        yield* opened.until("document.getElementById('cursor').textContent.includes('no reply within 300 ms')")
      }))

    it.effect("events that are too many are asked for where they are shown", () =>
      Effect.gen(function*() {
        const opened = yield* open(ofThree({ mostEvents: 2 }))
        yield* opened.until("document.querySelectorAll('#event-list li').length === 2")
        yield* opened.ask(`probe.page.timeline.show({ from: ${at(7_000)}, until: ${at(9_000)} })`)
        yield* opened.until("document.getElementById('event-list').textContent.includes('valve opened')")
      }))

    it.effect("an empty, an ended, a lost and a half-read recording say so", () =>
      Effect.gen(function*() {
        const data = ofThree({ ticks: 0, holes: [], events: [] })
        const opened = yield* open(data)
        const state = "document.getElementById('state-text').textContent"
        yield* opened.until("!document.getElementById('empty').hidden")
        yield* opened.record(1000)
        yield* opened.until("probe.isDrawn() && document.getElementById('empty').hidden")

        opened.server.isDown = true
        opened.server.disconnect()
        yield* opened.until(`${state} === 'Connection lost, tries again'`)
        opened.server.isDown = false
        yield* opened.until(`${state} === 'Recording'`)

        data.told = { progress: 0.42 }
        data.isComplete = false
        opened.server.tell()
        yield* opened.until(`${state} === 'Reading the file: 42 %' && probe.page.range.isComplete === false`)

        data.isLive = false
        data.isComplete = true
        data.told = {}
        opened.server.tell()
        yield* opened.until(
          `${state} === 'Ended: duration' && document.title.includes('Ended') && probe.page.range.isComplete`
        )
        assert.isAbove(yield* opened.ask<number>("probe.plot('SCCM').chart.data[0].length"), 10)
      }))

    for (const colorScheme of ["light", "dark"] as const) {
      it.effect(`nothing serious is found by axe, and nothing is cut or too small (${colorScheme})`, () =>
        Effect.gen(function*() {
          const data = ofThree({
            devices: ["fuel", HTML_NAME, "a name of a device that is far longer than all others"]
          })
          data.told = {
            alarms: [{ text: "oven.Temperature > 24 for 5s", sinceSeconds: 9 }],
            log: [{ level: "WARN", text: "x" }]
          }
          const opened = yield* open(data, { colorScheme })
          yield* opened.act((page) => page.evaluate(axe.source))
          yield* opened.ask("document.getElementById('data').open = true, probe.page.update()")
          for (const [width, height] of [[360, 740], [820, 1180], [1440, 900]] as const) {
            yield* opened.act((page) => page.setViewportSize({ width, height }))
            yield* opened.until(
              `document.querySelectorAll('#data-rows tr').length === 50 && Math.abs(probe.page.plots[0].chart.width - document.querySelector('.area').clientWidth) < 1`
            )
            const found = yield* opened.ask<ReadonlyArray<unknown>>(
              `axe.run().then(({ violations }) => violations.filter(({ impact }) => impact === "serious" || impact === "critical")
                .map(({ id, nodes }) => [id, nodes.slice(0, 3).map(({ html, any }) => html.slice(0, 90) + (any[0]?.message ?? ""))]))`
            )
            assert.deepStrictEqual(found, [], `${width} ${colorScheme}`)
            const pixels = yield* opened.ask<object>(`({
              isWider: document.documentElement.scrollWidth > innerWidth,
              unnamed: [...document.querySelectorAll("canvas")].filter((canvas) => !/Latest: \\S/.test(canvas.getAttribute("aria-label") ?? "")).length,
              small: [...document.querySelectorAll("button, summary, select, input:not([type=checkbox])")].filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 24).map((one) => one.outerHTML.slice(0, 80)),
              outside: [...document.querySelectorAll("header button, header summary, header input")].filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > innerWidth).length
            })`)
            assert.deepStrictEqual(
              pixels,
              { isWider: false, unnamed: 0, small: [], outside: 0 },
              `${width} ${colorScheme}`
            )
          }
          assert.deepStrictEqual(opened.errors, [])
        }))
    }
  })
})
