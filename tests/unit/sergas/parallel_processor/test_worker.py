"""The worker's side of the conversation, with both ends in one process."""

import multiprocessing
import pickle
import threading

from sergas.clock import SystemClock
from sergas.optimizations.parallel_processor._worker import serve


def test_worker_answers_each_item_by_itself_and_leaves_when_nobody_listens() -> None:
    """Ready first, then one message per item; the function is kept between requests."""
    near, far = multiprocessing.Pipe()
    worker = threading.Thread(target=serve, args=(far,))
    worker.start()
    assert near.recv_bytes() == b""
    for payload in (pickle.dumps((abs, SystemClock())), None):
        near.send_bytes(pickle.dumps((payload, [(0, pickle.dumps(-1)), (1, pickle.dumps("x"))])))
        _, value, error = near.recv()
        assert (value, error) == (1, None)
        _, value, error = near.recv()
        assert (value, type(error)) == (None, TypeError)
    near.close()
    worker.join(20.0)
    assert not worker.is_alive()
    far.close()
