import { percentDecoded } from '../../runtime/percent-decoded.js'

/**
 * The name of an object from its URL-encoded form. S3 and CloudFront encode the name in the URL a second time. A name with a
 * percent sign that was encoded once only is decoded too far; no registry stores such an object.
 */
export const decodedObjectName = (encoded: string): string => {
  const once = percentDecoded(encoded) ?? encoded
  return percentDecoded(once) ?? once
}
