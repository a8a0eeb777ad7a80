"""Class weights: files, the record in them, and the names of LoRA tensors."""

__all__ = ["files", "info", "lora_names", "safetensors_file"]
