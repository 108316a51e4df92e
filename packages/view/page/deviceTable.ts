/**
 * The devices with their state, values and identity, the outputs, and the log.
 */
import type { Device, DeviceState } from "./api.ts"
import { byId, element, replaceChildren, setText } from "./dom.ts"
import type { Page, Part } from "./Page.ts"
import { ageText, numberText } from "./times.ts"

const STATES: { readonly [state in DeviceState["state"]]: readonly [sign: string, text: string] } = {
  waiting: ["…", "waiting"],
  ok: ["•", "ok"],
  failing: ["×", "failing"],
  changed: ["×", "changed"],
  silent: ["!", "silent"],
  recorded: ["–", "recorded"]
}

export const deviceTable: Part = (page) => {
  const devices = page.state?.devices ?? []
  const fields = columnsOf(devices)
  byId("devices").hidden = devices.length === 0
  setText(byId("device-summary"), summaryOf(devices))
  replaceChildren(byId("device-head"), fields, () => [
    element(
      "tr",
      {},
      ...["Device", "State", ...fields.map(labelOf), "Age", "Status"].map((name) =>
        element("th", { scope: "col" }, name)
      )
    )
  ])
  replaceChildren(
    byId("device-rows"),
    [devices.map(({ name }) => name), page.view.devices, fields],
    () =>
      devices.map(({ name }) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, identityOf(name, page.view.devices)),
          ...["State", ...fields.map(labelOf), "Age", "Status"].map((label) => element("td", { "data-label": label }))
        )
      )
  )
  devices.forEach((device, at) => updateRow(byId("device-rows").children[at]!, device, fields))
  updateOutputs(page)
}

const summaryOf = (devices: ReadonlyArray<DeviceState>): string => {
  const inTrouble = devices.filter(({ state }) => state === "failing" || state === "changed" || state === "silent")
  const named = inTrouble.slice(0, 3).map(({ name, state }) => `${name} ${state}`)
  const more = inTrouble.length > 3 ? ` and ${inTrouble.length - 3} more` : ""
  return devices.length === 0
    ? ""
    : inTrouble.length === 0
    ? `${devices.length} ${devices.length === 1 ? "device" : "devices"}`
    : `${devices.length} devices, × ${named.join(", ")}${more}`
}

/** A field, and its unit if all devices have the same. */
interface Column {
  readonly name: string
  readonly unit: string | null
}

const columnsOf = (devices: ReadonlyArray<DeviceState>): ReadonlyArray<Column> => {
  const columns = new Map<string, Column>()
  for (const { name, unit } of devices.flatMap(({ fields }) => fields)) {
    columns.set(name, { name, unit: columns.has(name) && columns.get(name)!.unit !== unit ? null : unit })
  }
  return [...columns.values()]
}

const labelOf = ({ name, unit }: Column): string => unit === null ? name : `${name} (${unit})`

const updateRow = (row: Element, device: DeviceState, fields: ReadonlyArray<Column>): void => {
  const [state, ...cells] = [...row.querySelectorAll("td")]
  const [sign, word] = STATES[device.state]
  row.className = `is-${device.state}`
  setText(state!, `${sign} ${word}${device.error === null ? "" : `: ${device.error}`}`)
  fields.forEach(({ name, unit }, at) => {
    const field = device.fields.find((field) => field.name === name)
    setText(
      cells[at]!,
      field === undefined
        ? ""
        : unit === field.unit || field.unit === null
        ? valueText(field)
        : `${valueText(field)} ${field.unit}`
    )
  })
  setText(cells[fields.length]!, device.ageSeconds === null ? "" : ageText(device.ageSeconds))
  setText(cells[fields.length + 1]!, device.status.join(" "))
}

const valueText = ({ decimals, value }: DeviceState["fields"][number]): string =>
  value === null
    ? "–"
    : typeof value === "string"
    ? value
    : Math.abs(value) < 1e7
    ? value.toFixed(decimals)
    : numberText(value)

const identityOf = (name: string, devices: ReadonlyArray<Device>): Node | string => {
  const device = devices.find((device) => device.name === name)
  const known = [
    ["Unit", device?.unitId],
    ["Maker", device?.manufacturer],
    ["Model", device?.model],
    ["Serial number", device?.serialNumber],
    ["Firmware", device?.firmware],
    ["Calibrated", device?.calibrationDate]
  ].filter((part): part is [string, string] => part[1] != null)
  if (known.length === 0) return name
  const list = element("dl", {}, ...known.flatMap(([term, text]) => [element("dt", {}, term), element("dd", {}, text)]))
  return element("details", {}, element("summary", {}, name), list)
}

const updateOutputs = ({ state }: Page): void => {
  const outputs = state?.outputs ?? []
  byId("outputs").hidden = outputs.length === 0
  replaceChildren(byId("output-rows"), outputs, () =>
    outputs.map(({ behind, name, rows, state }) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, name),
        element("td", { "data-label": "State" }, state === "writing" ? `• ${state}` : `× ${state}`),
        element("td", { "data-label": "Rows" }, rows.toLocaleString("en-US")),
        element("td", { "data-label": "Behind" }, behind === null ? "not known" : behind.toLocaleString("en-US"))
      )
    ))
  const log = state?.log ?? []
  byId("log").hidden = log.length === 0
  replaceChildren(
    byId("log-lines"),
    log,
    () => log.toReversed().map(({ level, text }) => element("li", {}, element("strong", {}, level), ` ${text}`))
  )
}
