/**
 * Bundles the command `sampleline` into `packages/cli/dist`. A few files start much faster than the hundreds of modules of the
 * source. Drivers are not bundled: they load when they are needed. `dist/LICENSES.txt` has the licences of what is bundled.
 *
 * The page for the browser is bundled into `packages/view/dist/page`, and `packages/cli/dist/page` is a copy of it.
 */
import { copyFileSync, cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { build } from "rolldown"

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

const page = path.join(root, "packages/view/page")
const pageDist = path.join(root, "packages/view/dist/page")
rmSync(pageDist, { recursive: true, force: true })
const { output: pageOutput } = await build({
  input: { page: path.join(page, "main.ts") },
  platform: "browser",
  // The page has modules that are imported for what they do.
  treeshake: { moduleSideEffects: () => true },
  tsconfig: path.join(page, "tsconfig.json"),
  output: { dir: pageDist, format: "esm", minify: true }
})
for (const file of ["index.html", "page.css", "icon.svg"]) {
  copyFileSync(path.join(page, file), path.join(pageDist, file))
}
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
