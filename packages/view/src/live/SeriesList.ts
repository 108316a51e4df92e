/**
 * The fields with numbers of all devices, numbered as they come.
 */
import type { ViewedSeries } from "./Viewed.ts"

export class SeriesList {
  readonly all: Array<ViewedSeries> = []
  private readonly ids = new Map<string, Map<string, number>>()

  /** The number of a field of a device. A new one is added. */
  idOf(device: string, field: string, unit: string | null): number {
    let ids = this.ids.get(device)
    if (ids === undefined) this.ids.set(device, ids = new Map())
    let id = ids.get(field)
    if (id === undefined) {
      id = this.all.push({ id: this.all.length, device, field, unit }) - 1
      ids.set(field, id)
    }
    return id
  }
}
