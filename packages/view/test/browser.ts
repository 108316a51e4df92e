/**
 * A real Chromium for tests. On Linux it comes from npm and brings its libraries and fonts; elsewhere `CHROME_PATH` names one.
 * Undefined: there is none.
 */
import { Effect, type Scope } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { type Browser, chromium, type Page } from "playwright-core"

export const hasBrowser = process.platform === "linux" || process.env["CHROME_PATH"] !== undefined

/** These draw with a software renderer that takes seconds for a frame, run all in one process, or weaken the policy of pages. */
const UNWANTED = /angle|swiftshader|webgl|use-gl|ignore-gpu|in-process-gpu|single-process|web-security|insecure-content/

export const startBrowser: Effect.Effect<Browser, never, Scope.Scope> = Effect.gen(function*() {
  const { args, executablePath } = yield* program
  return yield* Effect.acquireRelease(
    Effect.promise(() =>
      chromium.launch({ executablePath, args: [...args, "--disable-gpu", "--disable-accelerated-2d-canvas"] })
    ),
    (browser) => Effect.promise(() => browser.close())
  )
})

const program = Effect.gen(function*() {
  const chrome = process.env["CHROME_PATH"]
  if (chrome !== undefined) return { executablePath: chrome, args: [] }
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "chromium-"))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
  )
  // It unpacks to TMPDIR, and brings its libraries where it believes to be on AWS.
  const environment = { ...process.env }
  yield* Effect.acquireRelease(
    Effect.sync(() => Object.assign(process.env, { TMPDIR: folder, AWS_LAMBDA_JS_RUNTIME: "nodejs22.x" })),
    () =>
      Effect.sync(() => {
        for (const name of ["TMPDIR", "AWS_LAMBDA_JS_RUNTIME", "LD_LIBRARY_PATH", "FONTCONFIG_PATH", "HOME"]) {
          if (environment[name] === undefined) delete process.env[name]
          else process.env[name] = environment[name]
        }
      })
  )
  const { default: packed } = yield* Effect.promise(() => import("@sparticuz/chromium"))
  const executablePath = yield* Effect.promise(() => packed.executablePath())
  // Its fonts are looked for in /tmp. Without fonts, Chromium dies of the first text field.
  const fonts = path.join(folder, "fonts/fonts.conf")
  fs.writeFileSync(fonts, fs.readFileSync(fonts, "utf8").replaceAll("/tmp/fonts", path.join(folder, "fonts")))
  return { executablePath, args: packed.args.filter((argument) => !UNWANTED.test(argument)) }
})

/** A language that browsers may have and `Intl` refuses. */
const LANGUAGE = `Object.defineProperty(navigator, "language", { value: "en-US@posix", configurable: true })`

/** A page in a context of its own. What goes wrong in it is in `errors`. */
export const openPage = (
  browser: Browser,
  url: string,
  options: { readonly width?: number; readonly height?: number; readonly colorScheme?: "light" | "dark" } = {}
): Effect.Effect<{ readonly page: Page; readonly errors: Array<string> }, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { colorScheme = "light", height = 900, width = 1440 } = options
    const page = yield* Effect.acquireRelease(
      Effect.promise(() => browser.newPage({ locale: "en-US", viewport: { width, height }, colorScheme })),
      (page) => Effect.promise(() => page.close())
    )
    const errors: Array<string> = []
    page.on("pageerror", (error) => errors.push(String(error.stack)))
    page.on("console", (message) => {
      if (message.type() === "error" && !/Failed to load resource/.test(message.text())) errors.push(message.text())
    })
    yield* Effect.promise(() => page.addInitScript(LANGUAGE).then(() => page.goto(url)))
    return { page, errors }
  })
