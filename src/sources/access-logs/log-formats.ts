import { awsAlb } from './aws-alb.js'
import { azureResource } from './azure-resource.js'
import { azureStorage } from './azure-storage.js'
import { caddy } from './caddy.js'
import { cloudStorage } from './cloud-storage.js'
import { cloudflare } from './cloudflare.js'
import { cloudfront } from './cloudfront.js'
import { combined } from './combined.js'
import { distributionLog } from './distribution-log.js'
import { envoy } from './envoy.js'
import { gitlabRegistry } from './gitlab-registry.js'
import { haproxy } from './haproxy.js'
import { harborNginx } from './harbor-nginx.js'
import type { LogFormat } from './log-format.js'
import { nginxJson } from './nginx-json.js'
import { s3 } from './s3.js'
import { traefikJson } from './traefik-json.js'
import { zot } from './zot.js'

/**
 * All formats, in the order in which an unknown file is tried: the most specific first. `nginxJson` and `combined` accept the most.
 * A new format is one file, and one line here.
 */
export const LOG_FORMATS: readonly LogFormat[] = [
  cloudStorage,
  cloudfront,
  azureStorage,
  awsAlb,
  s3,
  envoy,
  harborNginx,
  haproxy,
  distributionLog,
  gitlabRegistry,
  zot,
  traefikJson,
  caddy,
  cloudflare,
  azureResource,
  nginxJson,
  combined,
]
