/**
 * What a line of an access log is for Tallyman. The list is closed: each line that contains a request has exactly one class, with one
 * sentence, and is counted under it.
 */
export const LINE_CLASSES = {
  manifest: 'a client requested a manifest',
  blob: 'a client requested a blob from the registry',
  tags: 'a client requested the list of tags of a repository',
  referrers: 'a client requested the referrers of a manifest',
  download: 'a client received a whole blob from the bucket',
  partial: 'a client received a range of a blob from the bucket',
  not_modified: 'a client asked the bucket for a blob that it already had',
  head: 'a client asked the bucket for the headers of a blob',
  failed: 'the bucket refused a request for a blob, or failed to answer it',
  push: 'a client wrote to the registry or its bucket, or deleted from it',
  api_check: 'a client checked that the server is a registry, or looked for its token server',
  catalog: 'a client requested the list of repositories',
  other_method: 'a request to the registry with a method that neither reads nor writes',
  other_path: 'a request for a path that is no endpoint of a registry',
  bad_name: 'the path has the form of an endpoint, but its repository, tag or digest is not valid',
  unanswered: 'the client left before the answer, or no answer was logged',
  in_future: 'the time is more than a day ahead of the clock: set the clocks of both machines, or correct --tz',
  service_read: 'the registry itself read from its bucket: a link, a tag, an upload, a manifest, or metadata',
  lifecycle: 'a lifecycle rule of the bucket changed or deleted an object',
  listing: 'a list of the objects of the bucket',
  other: 'another request to the bucket: an object that belongs to no registry, or an operation on the bucket',
} as const satisfies Record<string, string>

export type LineClass = keyof typeof LINE_CLASSES
