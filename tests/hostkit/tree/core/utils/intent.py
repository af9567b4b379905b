from core.utils.factory import make


def create_instance(class_name, *args, **kwargs):
    return make(f"core/providers/intent/{class_name}/{class_name}.py", "IntentProvider", *args, **kwargs)
