"""What TensorRT's implicit INT8 leaves in floating point, as far as the graph tells: one rule a module.

Each is a function of the graph and the sites so far, and returns the nodes that have none after all, with the reason.
Learnt from the layers of TensorRT 8.6.0's engines. Which of several kernels was the fastest no graph tells: that is
measured (``placement=`` takes an engine's layers).
"""

from trtcal_widgets.export.qdq.passes.implicit.compiled import leave_compiled
from trtcal_widgets.export.qdq.passes.implicit.deconvolutions import leave_deconvolutions
from trtcal_widgets.export.qdq.passes.implicit.depthwise import leave_half_depthwise
from trtcal_widgets.export.qdq.passes.implicit.few_channels import leave_few_channels
from trtcal_widgets.export.qdq.passes.implicit.lonely_pools import leave_lonely_pools
from trtcal_widgets.export.qdq.passes.implicit.lonely_residuals import leave_lonely_residuals
from trtcal_widgets.export.qdq.passes.implicit.products import leave_products

AS_ENGINE_RULES = (leave_half_depthwise,)
"""What also holds where an engine said what it ran in INT8: implicit engines have kernels that explicit ones lack."""

RULES = (
    leave_compiled,
    leave_products,
    leave_few_channels,
    leave_deconvolutions,
    leave_half_depthwise,
    leave_lonely_residuals,
    leave_lonely_pools,
)
"""In this order: the later ones look at what the earlier ones left."""

__all__ = ["AS_ENGINE_RULES", "RULES"]
