// Tells testsmith what `node --test` does, one JSON object a line, as it happens.

export default async function* report(source) {
  const titles = [];
  for await (const { type, data } of source) {
    if (type === 'test:start' || type === 'test:pass' || type === 'test:fail') {
      titles.length = data.nesting;
      titles.push(data.name);
    }
    if (type === 'test:start') {
      yield line({ event: 'start', titles, file: data.file });
    } else if (type === 'test:pass' || type === 'test:fail') {
      const error = data.details?.error;
      const cause = error?.cause;
      yield line({
        event: 'end',
        titles,
        file: data.file,
        suite: data.details?.type === 'suite',
        outcome: outcome(type, data),
        failure: error?.failureType ?? '',
        assertion: cause?.code === 'ERR_ASSERTION',
        text: String(cause?.stack ?? cause ?? error?.message ?? ''),
      });
    } else if (type === 'test:stderr') {
      yield line({ event: 'stderr', titles: [], file: data.file, text: data.message });
    } else if (type === 'test:diagnostic' && data.message.includes('after the test ended')) {
      yield line({ event: 'stderr', titles: [], file: data.file, text: `${data.message}\n` });
    }
  }
}

function outcome(type, data) {
  if (data.skip !== undefined || data.todo !== undefined) {
    return 'skipped';
  }
  return type === 'test:pass' ? 'passed' : 'failed';
}

function line(event) {
  return `${JSON.stringify(event)}\n`;
}
