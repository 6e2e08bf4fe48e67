"""LiteLLM's router with retries and its cache on disk: `litellm_router.py BASE_URL REQUESTS PERMITS DIR`."""

import asyncio
import json
import os
import sys
import time

# Its price list comes with it; nothing is to be fetched.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402
from litellm import Router  # noqa: E402
from litellm.caching.caching import Cache  # noqa: E402

from cost import peak_kib  # noqa: E402


async def main():
    base_url, requests, permits, folder = sys.argv[1:]
    with open(requests, encoding="utf-8") as file:
        bodies = [json.loads(line) for line in file]
    litellm.telemetry = False
    litellm.cache = Cache(type="disk", disk_cache_dir=folder)
    model = bodies[0]["model"]
    server = {"model": f"openai/{model}", "api_base": base_url, "api_key": "none"}
    router = Router(
        model_list=[{"model_name": model, "litellm_params": server}],
        num_retries=2,
        cache_responses=True,
    )
    # Its own `max_parallel_requests` refuses what is too much instead of letting it wait.
    slots = asyncio.Semaphore(int(permits))

    async def ask(body):
        async with slots:
            answer = await router.acompletion(**body)
        assert answer.choices[0].message.content

    began, processor = time.perf_counter(), time.process_time()
    await asyncio.gather(*(ask(body) for body in bodies))
    wall = time.perf_counter() - began
    # Its cache is written behind the answers' back: no time of the calls, but work all the same.
    await asyncio.sleep(0.5)
    processor = time.process_time() - processor

    again = []
    for body in bodies:
        asked = time.perf_counter()
        await ask(body)
        again.append(time.perf_counter() - asked)
    figures = {"wall_s": wall, "processor_s": processor, "again_s": again, "peak_kib": peak_kib()}
    print(json.dumps(figures))


asyncio.run(main())
