/**
 * Bundles the command `sampleline` into `packages/cli/dist`. A few files start much faster than the hundreds of modules of the
 * source. Drivers are not bundled: they load when they are needed. `dist/LICENSES.txt` has the licences of what is bundled.
 *
 * `packages/cli/dist/page` is a copy of the page for the browser, which `bundlePage.ts` makes.
 */
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { build } from "rolldown"
import { pageDist, pageOutput } from "./bundlePage.ts"

const root = path.join(import.meta.dirname, "..")
const dist = path.join(root, "packages/cli/dist")
const BUNDLED = /^(?:effect|@effect\/[^/]+|@sampleline\/[^/]+|pg-connection-string)(?:\/|$)/

rmSync(dist, { recursive: true, force: true })
const { output } = await build({
  input: {
    main: path.join(root, "packages/cli/src/main.ts"),
    "live/liveWorker": path.join(root, "packages/view/src/live/liveWorker.ts"),
    parquetWorker: path.join(root, "packages/sinks/src/internal/parquetWorker.ts")
  },
  platform: "node",
  external: (id) => !id.startsWith(".") && !path.isAbsolute(id) && !BUNDLED.test(id),
  output: { dir: dist, format: "esm", chunkFileNames: "[name].js" }
})

cpSync(pageDist, path.join(dist, "page"), { recursive: true })

const modules = [...output, ...pageOutput].flatMap((chunk) => chunk.type === "chunk" ? chunk.moduleIds : [])
const packages = new Set(modules.map((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0]))
const licences = [...packages].flatMap((folder) => {
  const licence = `${folder}/LICENSE`
  if (folder === undefined || !existsSync(licence)) return []
  const { name, version } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"))
  return [`${name} ${version}\n\n${readFileSync(licence, "utf8").trim()}\n`]
})
writeFileSync(path.join(dist, "LICENSES.txt"), licences.join("\n---\n\n"))
