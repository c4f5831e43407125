"""A worker's side of the conversation with bench/run.py: see serve/serve.go."""
import json
import sys
import time


def answer(request, hello, makers, cases):
    do, name = request["do"], request.get("name")
    if do == "hello":
        return {"facts": hello}
    if do == "forget":
        cases.clear()
        return {}
    if do == "prepare":
        case = makers[request["case"]](**request["args"])
        cases[name] = case
        return {"facts": case.facts}
    case = cases[name]
    if do == "result":
        case.run(1)
        case.result().astype("<f4").tofile(request["path"])
        return {}
    calls = request["calls"]
    case.run(1)  # brings caches and threads back
    started = time.perf_counter()
    case.run(calls)
    return {"seconds": (time.perf_counter() - started) / calls}


def serve(hello, makers):
    """Answers requests with the cases that makers prepare, until there are no more."""
    cases = {}
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line), hello, makers, cases)
        except Exception as e:
            reply = {"error": f"{type(e).__name__}: {e}"}
        print(json.dumps(reply), flush=True)
