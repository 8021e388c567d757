"""From a botocore service model to typed Python: ``python -m aioecrpublic.codegen``.

The model, its paginators and its endpoint rule set come from the installed botocore; what the model does not
say comes from one overlay file a service. Templates lay the result out and decide nothing.
"""
