"""Many classes by one plan, in this process or on many machines.

From the bottom: ``packing``, ``blobs`` (values and files by content), ``plan``, ``classes``
(settings), ``tasks``, the kinds of work (``measuring``, ``learning``, ``placing``, ``painting``,
by name in ``works``) and the ``worker`` that does them; one class at the head (``class_orders``,
``class_samples``, ``class_painting``, ``class_run``) and one evaluation (``evaluation_run``), with
what they share (``shared``, ``figures``); ``head``, ``board``; ``run`` puts them together.
"""

__all__ = ["config", "run", "simulation"]
