"""OpenAI's own client with a pool of threads: `openai_pool.py BASE_URL REQUESTS PERMITS DIR`."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from openai import OpenAI

from cost import peak_kib


def main():
    base_url, requests, permits, _ = sys.argv[1:]
    with open(requests, encoding="utf-8") as file:
        bodies = [json.loads(line) for line in file]
    client = OpenAI(base_url=base_url, api_key="none", max_retries=2)

    def ask(body):
        answer = client.chat.completions.create(**body)
        assert answer.choices[0].message.content

    began, processor = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(int(permits)) as pool:
        list(pool.map(ask, bodies))
    figures = {
        "wall_s": time.perf_counter() - began,
        "processor_s": time.process_time() - processor,
        "again_s": [],
        "peak_kib": peak_kib(),
    }
    print(json.dumps(figures))


main()
