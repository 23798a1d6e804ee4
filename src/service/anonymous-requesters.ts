import type { Config } from '../config/config.js'
import { MICROS_PER_SECOND, type Micros } from '../events/calendar.js'
import { saltWindow } from '../pulls/fold/state.js'
import { openPlaces, type Places } from '../requesters/location/places.js'
import { createOriginOf, type OriginOf } from '../requesters/origins.js'
import type { Salts } from '../requesters/salts.js'

/** The settings that decide what is stored of requesters. */
export type RequesterSettings = Pick<
  Config,
  | 'windows'
  | 'country_file'
  | 'network_file'
  | 'pulls_salt_rotation'
  | 'pulls_lateness_seconds'
  | 'pulls_ipv4_prefix'
  | 'pulls_ipv6_prefix'
>

export const placesBy = ({ country_file: country, network_file: network }: RequesterSettings): Places =>
  openPlaces({ ...(country !== undefined && { country }), ...(network !== undefined && { network }) })

/** How long after a change of the salt the previous one is used, too. */
export const saltWindowBy = ({ windows, pulls_lateness_seconds: lateness }: RequesterSettings): Micros =>
  saltWindow(windows, lateness * MICROS_PER_SECOND)

export const originsBy = (settings: RequesterSettings, key: string, salts: Pick<Salts, 'at' | 'before'>): OriginOf =>
  createOriginOf({
    ...{ key, salts },
    prefixes: { ipv4: settings.pulls_ipv4_prefix, ipv6: settings.pulls_ipv6_prefix },
    window: saltWindowBy(settings),
  })
